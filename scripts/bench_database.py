"""Makes the database that backups are measured on: a shop's tables, of a size that is asked for."""

from collections.abc import Callable

Sql = Callable[[str], str]  # runs statements in the database; rows are lines

TABLES = """
CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
INSERT INTO alembic_version VALUES ('b014');
CREATE TABLE customers (id bigint, key uuid NOT NULL, name text NOT NULL, email text NOT NULL,
  created timestamptz NOT NULL, profile jsonb NOT NULL);
CREATE TABLE products (id bigint, sku text NOT NULL, title text NOT NULL, price numeric(10, 2) NOT NULL,
  tags text[] NOT NULL);
CREATE TABLE orders (id bigint, customer_id bigint NOT NULL, status text NOT NULL, total numeric(12, 2) NOT NULL,
  placed timestamptz NOT NULL, note text);
CREATE TABLE order_lines (order_id bigint NOT NULL, line int NOT NULL, product_id bigint NOT NULL,
  quantity int NOT NULL, price numeric(10, 2) NOT NULL);
CREATE TABLE events (id bigint, customer_id bigint NOT NULL, kind text NOT NULL, at timestamptz NOT NULL,
  payload jsonb NOT NULL);
CREATE TABLE documents (id bigint, customer_id bigint NOT NULL, name text NOT NULL, content bytea NOT NULL);
ALTER TABLE documents ALTER content SET STORAGE EXTERNAL;
CREATE SEQUENCE numbers;
"""
WORDS = "(ARRAY['blue','old','paper','north','glass','river','quick','table','seven','garden','light','stone'])"
ROWS = """
SELECT setseed(0.5);
INSERT INTO products SELECT n, 'SKU-' || lpad(n::text, 8, '0'), w(n) || ' ' || w(n / 7) || ' ' || w(n / 31),
  (random() * 500)::numeric(10, 2), ARRAY[w(n), w(n / 3)]
FROM generate_series(1, {scale} * 20) n;
INSERT INTO customers SELECT n, gen_random_uuid(), initcap(w(n) || ' ' || w((random() * 1000)::int)),
  w(n) || n || '@' || w(n / 5) || '.example', timestamptz '2020-01-01' + random() * interval '5 years',
  jsonb_build_object('language', w(n / 2), 'newsletter', n % 3 = 0, 'score', round(random()::numeric, 4),
    'address', jsonb_build_object('street', w(n / 9) || ' street ' || n % 300, 'city', w(n / 11)))
FROM generate_series(1, {scale} * 200) n;
INSERT INTO orders SELECT n, 1 + (random() * ({scale} * 200 - 1))::bigint,
  (ARRAY['new','paid','sent','sent','sent','returned'])[1 + n % 6], (random() * 2000)::numeric(12, 2),
  timestamptz '2021-01-01' + n * interval '7 seconds',
  CASE WHEN n % 4 = 0 THEN w(n) || ' ' || w(n / 3) || ' please, ' || w(n / 17) END
FROM generate_series(1, {scale} * 800) n;
INSERT INTO order_lines SELECT n, line, 1 + (random() * ({scale} * 20 - 1))::bigint, 1 + (random() * 9)::int,
  (random() * 500)::numeric(10, 2)
FROM generate_series(1, {scale} * 800) n, generate_series(1, 3) line;
INSERT INTO events SELECT n, 1 + (random() * ({scale} * 200 - 1))::bigint,
  (ARRAY['view','view','view','search','cart','login'])[1 + n % 6],
  timestamptz '2021-01-01' + n * interval '3 seconds',
  jsonb_build_object('path', '/' || w(n) || '/' || w((random() * 999)::int), 'ms', (random() * 900)::int,
    'session', md5((n / 20)::text), 'agent', 'Mozilla/5.0 (X11; Linux x86_64) ' || w(n / 50))
FROM generate_series(1, {scale} * 1400) n;
INSERT INTO documents SELECT n, 1 + (random() * ({scale} * 200 - 1))::bigint, w(n) || '-' || n || '.pdf',
  decode(string_agg(md5(random()::text || n || part), ''), 'hex')
FROM generate_series(1, {scale} * 14) n, generate_series(1, 500) part GROUP BY n;
SELECT setval('numbers', {scale} * 1000);
"""
KEYS = """
ALTER TABLE customers ADD PRIMARY KEY (id);
ALTER TABLE products ADD PRIMARY KEY (id);
ALTER TABLE orders ADD PRIMARY KEY (id);
ALTER TABLE order_lines ADD PRIMARY KEY (order_id, line);
ALTER TABLE events ADD PRIMARY KEY (id);
ALTER TABLE documents ADD PRIMARY KEY (id);
CREATE UNIQUE INDEX customers_email ON customers (lower(email));
CREATE UNIQUE INDEX products_sku ON products (sku);
CREATE INDEX orders_customer ON orders (customer_id);
CREATE INDEX orders_open ON orders (placed) WHERE status = 'new';
CREATE INDEX order_lines_product ON order_lines (product_id);
CREATE INDEX events_customer ON events (customer_id, at);
CREATE INDEX events_path ON events ((payload ->> 'path'));
ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers (id);
ALTER TABLE order_lines ADD FOREIGN KEY (order_id) REFERENCES orders (id);
ALTER TABLE order_lines ADD FOREIGN KEY (product_id) REFERENCES products (id);
ALTER TABLE events ADD FOREIGN KEY (customer_id) REFERENCES customers (id);
ALTER TABLE documents ADD FOREIGN KEY (customer_id) REFERENCES customers (id);
"""
PICK = f"""
CREATE FUNCTION w(bigint) RETURNS text LANGUAGE sql IMMUTABLE AS
  $$ SELECT {WORDS}[1 + abs($1 * 2654435761 % 1009) % 12] $$;
"""


def fill(sql: Sql, size: int) -> int:
    """Make the tables with about ``size`` bytes, indexes included; the bytes that there are."""
    scale = max(1, round(size / BYTES))
    sql(TABLES + PICK)
    sql(ROWS.format(scale=scale))
    sql("DROP FUNCTION w(bigint);" + KEYS)
    sql("VACUUM ANALYZE")
    sql("CHECKPOINT")
    return int(sql("SELECT pg_database_size(current_database())"))


BYTES = 900_000  # that the rows of one step of the scale take with their indexes, roughly
