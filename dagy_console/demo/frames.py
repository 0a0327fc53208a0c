"""The stretches of library frames that many tracebacks share."""

from dagy_console.demo.text import Call

_WRAPPERS = "lib:django/db/backends/utils.py"

REQUEST = (
    Call(
        "lib:django/core/handlers/exception.py",
        55,
        "inner",
        "response = get_response(request)",
        "get_response(request)",
    ),
    Call(
        "lib:django/core/handlers/base.py",
        197,
        "_get_response",
        "response = wrapped_callback(request, *callback_args, **callback_kwargs)",
        "wrapped_callback(request, *callback_args, **callback_kwargs)",
    ),
    Call(
        "lib:ninja/operation.py",
        229,
        "run",
        "result = self.view_func(request, **values)",
        "self.view_func(request, **values)",
    ),
)
CELERY = (
    Call("lib:celery/app/trace.py", 564, "trace_task", "R = retval = fun(*args, **kwargs)", "fun(*args, **kwargs)"),
    Call(
        "lib:celery/app/trace.py",
        883,
        "__protected_call__",
        "return self.run(*args, **kwargs)",
        "self.run(*args, **kwargs)",
    ),
)
EXECUTE = (
    Call(_WRAPPERS, 79, "execute", "return self._execute_with_wrappers("),
    Call(
        _WRAPPERS,
        92,
        "_execute_with_wrappers",
        "return executor(sql, params, many, context)",
        "executor(sql, params, many, context)",
    ),
    Call(_WRAPPERS, 100, "_execute", "with self.db.wrap_database_errors:"),
    Call("lib:django/db/utils.py", 91, "__exit__", "raise dj_exc_value.with_traceback(traceback) from exc_value"),
    Call(_WRAPPERS, 105, "_execute", "return self.cursor.execute(sql, params)", "self.cursor.execute(sql, params)"),
    Call("lib:psycopg/cursor.py", 117, "execute", "raise ex.with_traceback(None)"),
)
DRIVER = (EXECUTE[-2], EXECUTE[-1])
CREATE = (
    Call(
        "lib:django/db/models/manager.py",
        87,
        "manager_method",
        "return getattr(self.get_queryset(), name)(*args, **kwargs)",
        "getattr(self.get_queryset(), name)(*args, **kwargs)",
    ),
    Call("lib:django/db/models/query.py", 665, "create", "obj.save(force_insert=True, using=self.db)"),
    Call("lib:django/db/models/base.py", 902, "save", "self.save_base("),
    Call("lib:django/db/models/base.py", 1008, "save_base", "updated = self._save_table(", "self._save_table("),
    Call("lib:django/db/models/base.py", 1169, "_save_table", "results = self._do_insert(", "self._do_insert("),
    Call("lib:django/db/models/base.py", 1210, "_do_insert", "return manager._insert(", "manager._insert("),
    Call(
        "lib:django/db/models/sql/compiler.py",
        1882,
        "execute_sql",
        "cursor.execute(sql, params)",
    ),
    *EXECUTE,
)
FETCH = (
    Call("lib:django/db/models/query.py", 384, "__iter__", "self._fetch_all()"),
    Call(
        "lib:django/db/models/query.py",
        1949,
        "_fetch_all",
        "self._result_cache = list(self._iterable_class(self))",
        "list(self._iterable_class(self))",
    ),
    Call(
        "lib:django/db/models/query.py",
        91,
        "__iter__",
        "results = compiler.execute_sql(",
        "compiler.execute_sql(",
    ),
    Call("lib:django/db/models/sql/compiler.py", 1623, "execute_sql", "cursor.execute(sql, params)"),
    *EXECUTE,
)
CONNECT = (
    Call("lib:django/db/backends/base/base.py", 279, "ensure_connection", "self.connect()"),
    Call(
        "lib:django/db/backends/base/base.py",
        256,
        "connect",
        "self.connection = self.get_new_connection(conn_params)",
        "self.get_new_connection(conn_params)",
    ),
    Call(
        "lib:django/db/backends/postgresql/base.py",
        332,
        "get_new_connection",
        "connection = self.Database.connect(**conn_params)",
        "self.Database.connect(**conn_params)",
    ),
    Call("lib:psycopg/connection.py", 126, "connect", "raise last_ex.with_traceback(None)"),
)
S3 = (
    Call(
        "lib:botocore/client.py",
        606,
        "_api_call",
        "return self._make_api_call(operation_name, kwargs)",
        "self._make_api_call(operation_name, kwargs)",
    ),
    Call("lib:botocore/context.py", 123, "wrapper", "return func(*args, **kwargs)", "func(*args, **kwargs)"),
    Call(
        "lib:botocore/client.py",
        1094,
        "_make_api_call",
        "raise error_class(parsed_response, operation_name)",
    ),
)
HTTP = (
    Call("lib:httpx/_client.py", 1144, "post", "return self.request(", "self.request("),
    Call(
        "lib:httpx/_client.py",
        825,
        "request",
        "return self.send(request, auth=auth, follow_redirects=follow_redirects)",
        "self.send(request, auth=auth, follow_redirects=follow_redirects)",
    ),
    Call("lib:httpx/_client.py", 914, "send", "response = self._send_handling_auth(", "self._send_handling_auth("),
    Call(
        "lib:httpx/_transports/default.py",
        249,
        "handle_request",
        "with map_httpcore_exceptions():",
    ),
    Call(
        "lib:httpx/_transports/default.py",
        118,
        "map_httpcore_exceptions",
        "raise mapped_exc(message) from exc",
    ),
)
HTTP_CORE = (
    Call("lib:httpx/_transports/default.py", 101, "map_httpcore_exceptions", "yield"),
    Call(
        "lib:httpx/_transports/default.py",
        250,
        "handle_request",
        "resp = self._pool.handle_request(req)",
        "self._pool.handle_request(req)",
    ),
    Call(
        "lib:httpcore/_backends/sync.py",
        208,
        "connect_tcp",
        "with map_exceptions(exc_map):",
    ),
    Call("lib:httpcore/_exceptions.py", 14, "map_exceptions", "raise to_exc(exc) from exc"),
)
