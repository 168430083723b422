"""The recording child: runs a project's own migrations on a driver that only writes down what it is asked.

These modules are not imported by deployguard. Their source goes, with the request, through standard input to the
project's interpreter (which may be in a container), is imported there from memory, and imports the project's
SQLAlchemy and Alembic. So: the standard library only at import time, and nothing newer than Python 3.9.

    main        reads the request, shuts the doors (guard), and works down the ways of running (command)
    command     the project's own command, or Alembic with its env.py, or Alembic without it
    steps       stands in for Alembic's run_migrations: each revision up, then down, bounded and never fatal
    modules     loads revision files; one that cannot be imported becomes a stub that raises
    engines     makes every engine of the process use the recorder (dialects, drivers)
    executing   what those dialects do with statements and transactions
    quoting     psycopg2's own functions, given the recorder's connection
    reflection  answers the inspector from the catalogue
    catalogue   the schema as the recorder believes it, moved on by what is recorded (ddl)
    blocks      which code inside the server may have changed the schema unseen
    system      queries of information_schema and pg_catalog, answered from the catalogue (parts: as rows)
    memory      SQLite in memory, where the statements really run
    control     Alembic's transaction, and what a revision does to it by way of the driver
    answers     rows for SELECT and RETURNING that have no database behind them
    batch       SQLite's copy-and-move: what the directives inside it ask for
    channel     the events, one JSON line each, on a descriptor that no print statement reaches
    guard       environment, network, files: nothing real can be reached from here
    used        which files the reading rests on, so that it can be kept until one of them changes
    static      revision identifiers out of a file's text, also used by the graph
"""
