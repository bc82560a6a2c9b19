cimport cython

from gevent._http1 cimport (
    HeadParser,
    decimal,
    encode_fields,
    encode_status,
    environ_key,
    has_token,
    response_head,
    split_target,
    whole_response,
)
from gevent._http_stream cimport ConnectionReader, Input, set_timeout

cdef int READ_HEAD, RUN_APP, DRAIN, LINGER, CLOSED
cdef Py_ssize_t _JOIN_LIMIT
cdef Py_ssize_t _MAX_BUFFERS
cdef int _REQUESTS_AT_A_TIME
cdef frozenset _NO_BODY


cdef class _SecondCache:
    cdef object _format
    cdef tuple _pair

    @cython.locals(pair=tuple)
    cpdef object get(self, double timestamp)


cdef _SecondCache _date
cdef _SecondCache _log_time


cdef class ConnectionHandler:
    cdef object __weakref__

    cdef public object socket
    cdef public object client_address
    cdef public object server
    cdef public object rfile
    cdef public bint close_connection
    cdef public double time_start
    cdef public double time_finish

    cdef public object command
    cdef public object path
    cdef public object request_version
    cdef public object content_length
    cdef public object environ
    cdef public object wsgi_input
    cdef public object application

    cdef public object status
    cdef public object code
    cdef public object response_headers
    cdef public object result
    cdef public object provided_content_length
    cdef public object provided_date
    cdef public object response_length
    cdef public object _orig_status
    cdef public bint headers_sent
    cdef public bint response_use_chunked
    cdef public bint connection_upgraded
    cdef object _provided_connection
    cdef long long _announced
    cdef long long _body_left
    cdef bint _sends_body
    cdef bint _overlong

    cdef int _phase
    cdef bint _first
    cdef bint _released
    cdef bint _stopping
    cdef bint _linger
    cdef bint _peer_gone
    cdef bint _ordinary
    cdef object _requestline
    cdef object _request_headers
    cdef dict _fresh_environ
    cdef dict _template
    cdef object _address
    cdef object _remote_addr
    cdef object _remote_port
    cdef object _settings
    cdef long long _max_body
    cdef object _body_timeout
    cdef object _min_body_rate
    cdef object _keep_alive_timeout
    cdef object _sendmsg
    cdef dict _namespace
    cdef bint _asks_server
    cdef object _environ_class
    cdef ConnectionReader _reader
    cdef HeadParser _parser
    cdef Input _no_body
    cdef Input _body

    cdef bint _reads_lines
    cdef bint _asks_headers
    cdef bint _sends_through_hooks
    cdef bint _writes_through_hooks
    cdef bint _sends_all
    cdef bint _shortcut
    cdef bint _logs_itself
    cdef bint _formats_itself

    cdef _find_overrides(self)
    cdef _close(self)
    cdef _end_tls(self, object sock)
    cdef _wait_for_end(self, object sock)
    cdef bint _is_disconnect(self, object ex) except -1
    cdef bint _is_closed(self) except -1
    cdef Py_ssize_t _line_limit(self) except -1
    cpdef _send_refusal(self, object status, object response)
    cpdef _stop_soon(self)
    cpdef bint _is_idle(self) except -1
    cpdef _stop_if_idle(self)
    cdef _stop_reading(self)

    cpdef handle_one_request(self)
    @cython.locals(reader=ConnectionReader, parser=HeadParser, data=bytes, pos=Py_ssize_t, end=Py_ssize_t, environ=dict)
    cdef bint _read_head(self) except -1
    @cython.locals(reader=ConnectionReader, end=Py_ssize_t)
    cdef Py_ssize_t _read_rest_of_head(self, dict environ) except -2
    @cython.locals(parser=HeadParser)
    cdef _note_request(self)
    @cython.locals(parser=HeadParser)
    cdef _check_request(self)
    cdef _read_by_lines(self)
    @cython.locals(environ=dict)
    cdef dict _new_environ(self)
    cdef _add_address(self, object environ)
    @cython.locals(parser=HeadParser, body=Input)
    cpdef get_environ(self)
    cdef _build_environ(self)
    @cython.locals(reader=ConnectionReader)
    cdef _note_request_line(self)
    cdef _refuse_timeout(self)

    cpdef handle_one_response(self)
    cpdef run_application(self)
    @cython.locals(octets=bytes, fields=list, announced='long long')
    cpdef start_response(self, object status, object headers, object exc_info=*)
    cpdef process_result(self)
    @cython.locals(out=list)
    cdef _send_whole(self, object result)
    cdef bint _is_body_read(self) except -1
    cdef object _checked(self, object data)
    cpdef write(self, object data)
    @cython.locals(out=list)
    cpdef _write_with_headers(self, object data)
    @cython.locals(out=list)
    cpdef _write(self, object data)
    @cython.locals(fields=list)
    cpdef finalize_headers(self)
    cdef _drop_content_length(self)
    cdef bint _is_tunnel(self, int code) except -1
    @cython.locals(sent=Py_ssize_t, left='long long')
    cdef bint _send_file(self, object wrapper) except -1
    cdef object _known_length(self)
    @cython.locals(body=Input)
    cdef _look_for_reasons_to_close(self)
    @cython.locals(body=Input)
    cdef bytes _begin_body(self)
    @cython.locals(left='long long')
    cdef _frame(self, object data, list out)
    cdef _end_body(self)
    @cython.locals(total=Py_ssize_t, first=Py_ssize_t, done=Py_ssize_t, sent=Py_ssize_t, batch=list)
    cdef _send_buffers(self, list buffers)
    @cython.locals(size=Py_ssize_t, sent=Py_ssize_t, more=Py_ssize_t)
    cdef _send(self, object data)
    cpdef _sendall(self, object data)
    cdef _note_failed_send(self, object ex)
    @cython.locals(body=Input)
    cdef _drain(self)
    cdef _log_bad_body(self, object ex)

    cpdef log_request(self)
    cpdef format_request(self)
