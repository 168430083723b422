"""What is known of PostgreSQL's, SQLite's and MySQL's own functions: which only read, and how volatile they are."""

from deployguard.operations import (
    AlterObject,
    Maintain,
    Operation,
    Procedural,
    SetSetting,
    Volatility,
)
from deployguard.sql.tokens import Token, tokenize


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_STABLE = _names(
    """now transaction_timestamp statement_timestamp current_timestamp current_date current_time localtime
    localtimestamp current_user session_user user current_role current_catalog current_schema current_schemas
    current_database current_setting timezone to_char to_date to_timestamp to_number date_part date_trunc extract
    age pg_my_temp_schema inet_client_addr txid_current pg_current_xact_id concat concat_ws format version
    to_json to_jsonb json_build_object jsonb_build_object json_build_array jsonb_build_array row_to_json array_to_json
    to_tsvector to_tsquery plainto_tsquery date time datetime julianday unixepoch strftime utc_timestamp curdate
    curtime sysdate"""
)
_IMMUTABLE = _names(
    """abs ceil ceiling floor round trunc sign sqrt power pow exp ln log mod div greatest least coalesce nullif
    lower upper initcap length char_length character_length octet_length bit_length substr substring left right
    trim btrim ltrim rtrim lpad rpad repeat replace translate reverse position strpos split_part ascii chr md5
    sha224 sha256 sha384 sha512 encode decode quote_ident quote_literal quote_nullable regexp_replace
    regexp_match regexp_matches regexp_split_to_array string_to_array array_append array_prepend array_cat
    array_length
    array_remove array_replace array_position array_positions array_upper array_lower array_ndims cardinality
    array_to_string make_date make_time make_timestamp make_interval justify_days justify_hours justify_interval
    int4range int8range numrange daterange tsrange tstzrange lower_inc upper_inc isempty hstore box point
    jsonb_set jsonb_insert jsonb_strip_nulls json_strip_nulls to_hex width_bucket set_byte get_byte array date_bin
    unaccent st_geomfromtext st_makepoint st_setsrid cast convert if ifnull isnull iif nvl hex unhex typeof instr
    printf quote json json_object json_array json_extract json_set json_insert json_replace json_remove json_type
    json_valid json_patch json_quote json_unquote row zeroblob"""
)
_VOLATILE = _names(
    """random setseed clock_timestamp timeofday gen_random_uuid uuid_generate_v1 uuid_generate_v1mc uuid_generate_v4
    uuidv4 uuidv7 uuid gen_random_bytes gen_salt nextval currval lastval setval random_normal rand randomblob
    txid_current_if_assigned pg_sleep"""
)
# Functions that look at rows or at the catalogue and change nothing.
_READING = _names(
    """count sum avg min max array_agg string_agg group_concat json_agg jsonb_agg json_object_agg jsonb_object_agg
    bool_and bool_or every bit_and bit_or stddev stddev_pop stddev_samp variance var_pop var_samp corr mode
    percentile_cont percentile_disc row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value
    last_value nth_value unnest generate_series generate_subscripts regexp_split_to_table json_each jsonb_each
    json_each_text jsonb_each_text json_array_elements jsonb_array_elements json_array_elements_text
    jsonb_array_elements_text json_array_length jsonb_array_length json_object_keys jsonb_object_keys
    json_typeof jsonb_typeof json_extract_path json_extract_path_text jsonb_extract_path jsonb_extract_path_text
    jsonb_path_query jsonb_path_exists jsonb_to_record json_to_record jsonb_to_recordset json_to_recordset
    jsonb_populate_record json_populate_record jsonb_pretty json_tree total any_value grouping exists
    pg_get_serial_sequence pg_get_constraintdef pg_get_indexdef pg_get_viewdef pg_get_functiondef pg_get_expr
    pg_get_triggerdef pg_get_userbyid pg_get_keywords format_type obj_description col_description shobj_description
    to_regclass to_regtype to_regproc to_regprocedure to_regnamespace to_regrole has_table_privilege
    has_schema_privilege has_database_privilege has_column_privilege has_function_privilege pg_has_role
    pg_table_is_visible pg_type_is_visible pg_function_is_visible pg_relation_size pg_total_relation_size
    pg_table_size pg_indexes_size pg_database_size pg_size_pretty pg_column_size pg_backend_pid pg_is_in_recovery
    pg_encoding_to_char pg_postmaster_start_time pg_conf_load_time pg_sequence_parameters pg_typeof
    pg_tablespace_location pg_current_wal_lsn pg_blocking_pids pg_sequence_last_value enum_range enum_first enum_last
    currval lastval similarity word_similarity ts_rank ts_headline setweight sqlite_version last_insert_rowid changes
    total_changes last_insert_id database schema found_rows pragma_table_info pragma_index_list pragma_index_info
    pragma_foreign_key_list pragma_table_list values and or not xor case between in like any all
    overlaps interval"""
)
_READS = (
    _STABLE
    | _IMMUTABLE
    | _READING
    | frozenset({"random", "rand", "gen_random_uuid", "uuid_generate_v4", "uuid_generate_v1",
                 "uuid", "uuidv4", "uuidv7", "clock_timestamp", "timeofday", "gen_random_bytes",
                 "randomblob", "gen_salt", "pg_sleep"})
)  # fmt: skip
_LOCKS = ("pg_advisory_", "pg_try_advisory_", "get_lock", "release_lock", "is_free_lock")
_TYPES_WITH_SIZE = _names(
    """varchar char character varying numeric decimal bit varbit timestamp timestamptz time timetz interval float
    nvarchar nchar varbinary binary"""
)


def reads_only(name: str) -> bool:
    """Whether calling ``name`` (lower case, without a schema or in pg_catalog) is known to change nothing."""
    return name.removeprefix("pg_catalog.") in _READS


def called(name: str, arguments: tuple[str, ...]) -> Operation | None:
    """What a SELECT does by calling ``name``; None when it only reads.

    ``arguments`` are the literal arguments without their quotes, "" for each that is no literal.
    """
    bare = name.removeprefix("pg_catalog.")
    first = arguments[0] if arguments else ""
    if reads_only(bare):
        return None
    if bare == "nextval":
        return AlterObject("sequence", sequence_name(first), "next value")
    if bare == "setval":
        return AlterObject("sequence", sequence_name(first), "set value")
    if bare == "set_config":
        value = arguments[1] if len(arguments) > 1 else ""
        return SetSetting(first, value, local=arguments[2:] == ("true",))
    if bare == "pg_notify":
        return Maintain("notify")
    if bare.startswith(_LOCKS):
        return Maintain("advisory lock")
    return Procedural("select function", name)


def sequence_name(text: str) -> str:
    """A sequence as a regclass literal names it: the quotes of each part removed."""
    return ".".join(
        part[1:-1]
        if part.startswith('"') and part.endswith('"') and len(part) > 1
        else part.lower()
        for part in text.split(".")
    )


def volatility(expression: str, dialect: str) -> Volatility:
    """How the value of this DEFAULT comes about, judged on the text as written; fail closed to UNKNOWN."""
    tokens = tokenize(expression, dialect)
    if not tokens:
        return Volatility.NONE
    if [token.word for token in tokens] == ["null"]:
        return Volatility.NONE
    found = Volatility.CONSTANT
    for at, token in enumerate(tokens):
        found = _worse(found, _token_volatility(tokens, at, token))
    return found


_ORDER = (Volatility.CONSTANT, Volatility.STABLE, Volatility.UNKNOWN, Volatility.VOLATILE)
_CLOCK = _names(
    """current_timestamp current_date current_time localtime localtimestamp current_user session_user user
    current_role current_catalog current_schema"""
)


def _worse(one: Volatility, other: Volatility) -> Volatility:
    return max(one, other, key=_ORDER.index)


def _token_volatility(tokens: tuple[Token, ...], at: int, token: Token) -> Volatility:
    if token.word in _CLOCK:
        return Volatility.STABLE
    if token.kind == "placeholder":
        return Volatility.CONSTANT
    if token.kind not in {"word", "quoted"} or not _called(tokens, at):
        return Volatility.CONSTANT
    name = token.word or token.text.strip('"`').lower()
    if _qualified(tokens, at) not in {"", "pg_catalog", "public", "extensions"}:
        return Volatility.UNKNOWN
    if name in _VOLATILE:
        return Volatility.VOLATILE
    if name in _STABLE:
        return Volatility.STABLE
    return Volatility.CONSTANT if name in _IMMUTABLE | _TYPES_WITH_SIZE else Volatility.UNKNOWN


def _called(tokens: tuple[Token, ...], at: int) -> bool:
    following = tokens[at + 1].text if at + 1 < len(tokens) else ""
    return following == "("


def _qualified(tokens: tuple[Token, ...], at: int) -> str:
    if at >= 2 and tokens[at - 1].text == ".":
        return tokens[at - 2].text.strip('"').lower()
    return ""
