"""Databases of the central programs: SQLAlchemy Core, migrations, retention. No machine has it."""
