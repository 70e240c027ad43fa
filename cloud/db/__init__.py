"""SQL database: schema, connections, migrations."""
