"""Ask Assay: an MCP server, by which assistants read what was published."""
