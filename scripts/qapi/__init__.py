# SPDX-License-Identifier: Apache-2.0
"""The QAPI generator: schema files in, C sources, introspection and reference manual out."""
