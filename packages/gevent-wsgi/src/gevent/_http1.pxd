# C types of _http1.py, which Cython reads beside it. Python values keep their Python types; what is
# walked octet by octet is a pointer, positions are Py_ssize_t.
cimport cython

cdef bytes _CLASS_TABLE
cdef const unsigned char *_CLASS
cdef bytes _HEX_TABLE
cdef const unsigned char *_HEX

cdef int TOKEN, VALUE, TARGET, HOST, DIGIT
cdef int HTAB, LF, CR, SP, PERCENT, SLASH, ZERO, ONE, COLON, SEMICOLON, QUESTION, BRACKET, BRACKET_END
cdef int _IN_SIZE, _IN_DATA, _AFTER_DATA, _IN_TRAILER, _DONE

cdef str K_COOKIE
cdef str K_HOST
cdef str K_CONNECTION
cdef str K_UPGRADE
cdef str K_EXPECT
cdef str K_TRANSFER_ENCODING
cdef str K_CONTENT_LENGTH
cdef str K_CONTENT_TYPE
cdef str _HTTP_1_0
cdef str _HTTP_1_1

cdef dict _KEYS
cdef dict _METHODS
cdef dict _FIELD_NAMES
cdef dict _SPECIAL_KEYS
cdef Py_ssize_t _KEYS_LIMIT
cdef Py_ssize_t _KEYS_LONGEST
cdef Py_ssize_t _FIELD_NAMES_LIMIT
cdef dict _STATUSES
cdef Py_ssize_t _STATUSES_LIMIT
cdef int _LENGTH_DIGITS, _NO_NUMBER, _TOO_LARGE

@cython.locals(p='const unsigned char *', i=Py_ssize_t, value='long long', digits=int)
cdef long long _digits(bytes data, Py_ssize_t start, Py_ssize_t end) except -3

cpdef str environ_key(str name)
cdef str _unquote(bytes path)
cpdef tuple split_target(bytes target, str method)

@cython.locals(p='const unsigned char *', i=Py_ssize_t, port=long)
cdef int _check_host(bytes data, Py_ssize_t start, Py_ssize_t end) except -1

cdef list _tokens(str value)
cpdef bint has_token(str value, str token)
cdef str _excerpt(bytes data, Py_ssize_t start, Py_ssize_t end)


cdef class HeadParser:
    cdef public Py_ssize_t max_fields
    cdef public Py_ssize_t max_bytes
    cdef readonly str command
    cdef readonly str target
    cdef readonly str version
    cdef readonly long long content_length
    cdef readonly bint chunked
    cdef readonly bint keep_alive
    cdef readonly bint expect_continue
    cdef readonly bint upgrade
    cdef readonly bint simple
    cdef readonly bint ordinary

    cdef bytes _data
    cdef str _authority
    cdef Py_ssize_t _line_at
    cdef Py_ssize_t _line_end
    cdef Py_ssize_t _first
    cdef Py_ssize_t _fields_at
    cdef Py_ssize_t _end_at
    cdef Py_ssize_t _next
    cdef Py_ssize_t _scanned
    cdef Py_ssize_t _count
    cdef int _underscores
    cdef bint _minor
    cdef str _codings
    cdef bint _unfold
    cdef bint _require_host
    cdef bint _in_fields
    cdef bint _has_host
    cdef bint _close_token
    cdef bint _keep_token
    cdef bint _upgrade_token
    cdef bint _upgrade_field

    cpdef release(self)
    cpdef reset(self)

    @cython.locals(end=Py_ssize_t)
    cpdef Py_ssize_t parse(self, bytes data, Py_ssize_t start, dict environ, Py_ssize_t max_line) except -2

    @cython.locals(size=Py_ssize_t)
    cdef Py_ssize_t _more(self, Py_ssize_t end, Py_ssize_t start, Py_ssize_t max_line) except -2

    @cython.locals(first=Py_ssize_t, head_end=Py_ssize_t, head=bytes)
    cdef Py_ssize_t _parse_unfolded(self, bytes data, Py_ssize_t start, dict environ,
                                    Py_ssize_t max_line) except -2

    @cython.locals(p='const unsigned char *', i=Py_ssize_t, end=Py_ssize_t)
    cdef Py_ssize_t _skip_empty_lines(self, bytes data, Py_ssize_t start) except -2

    @cython.locals(p='const unsigned char *', i=Py_ssize_t, end=Py_ssize_t, line=Py_ssize_t,
                   count=Py_ssize_t, name_end=Py_ssize_t, value_start=Py_ssize_t,
                   value_end=Py_ssize_t, name=bytes, key=str, value=str, present=object)
    cdef Py_ssize_t _parse(self, bytes data, Py_ssize_t start, dict environ,
                           Py_ssize_t max_line) except -2

    @cython.locals(p='const unsigned char *', i=Py_ssize_t, target_start=Py_ssize_t,
                   target_end=Py_ssize_t, question=Py_ssize_t, quoted=bint, name=bytes,
                   method=str, target=str, version=str, query=str, path=str)
    cdef Py_ssize_t _request_line(self, bytes data, Py_ssize_t start, Py_ssize_t end, dict environ,
                                  Py_ssize_t max_line) except -2

    cdef int _refuse_name(self, bytes data, Py_ssize_t line, Py_ssize_t position,
                          Py_ssize_t end) except -1
    cdef str _unknown_name(self, bytes name)

    @cython.locals(token=str)
    cdef int _connection(self, str value) except -1

    @cython.locals(member=str)
    cdef int _expectation(self, str value) except -1

    @cython.locals(value='long long')
    cdef int _length(self, bytes data, Py_ssize_t start, Py_ssize_t end) except -1

    cdef int _coding(self) except -1
    cdef int _finish(self, dict environ) except -1
    cpdef headers(self)


cdef class ChunkedDecoder:
    cdef readonly bint done
    cdef readonly long long position
    cdef readonly long long left
    cdef int _state
    cdef Py_ssize_t _max_line
    cdef Py_ssize_t _extensions_left
    cdef Py_ssize_t _trailer_left

    @cython.locals(i=Py_ssize_t, end=Py_ssize_t, line=Py_ssize_t, size=Py_ssize_t)
    cpdef Py_ssize_t decode(self, bytes data, Py_ssize_t start, list out, long long limit) except -2

    @cython.locals(p='const unsigned char *', i=Py_ssize_t, size='long long')
    cdef Py_ssize_t _size_line(self, bytes data, Py_ssize_t start, Py_ssize_t end) except -2

    @cython.locals(stop=Py_ssize_t, octet=int)
    cdef Py_ssize_t _skip_extensions(self, bytes data, Py_ssize_t start, Py_ssize_t position,
                                     Py_ssize_t end) except -2

    @cython.locals(stop=Py_ssize_t)
    cdef Py_ssize_t _trailer_line(self, bytes data, Py_ssize_t start, Py_ssize_t end) except -2


cdef bytes _encode_name(name)

@cython.locals(p='const unsigned char *', i=Py_ssize_t, end=Py_ssize_t, text=str, octets=bytes)
cdef bytes _encode_value(name, value)

@cython.locals(octets=bytes, digits=bytes, known=tuple)
cpdef tuple encode_status(status)

cdef _check_headers(headers)
cdef long _LENGTHS

@cython.locals(fields=list, name_octets=bytes, value_octets=bytes, size=Py_ssize_t, lowered=str, number='long long', pair=tuple)
cpdef tuple encode_fields(headers)

@cython.locals(parts=list)
cpdef bytes response_head(bytes status, list fields)

cdef list _DIGITS

@cython.locals(digits=bytes)
cpdef bytes decimal(Py_ssize_t number)

@cython.locals(parts=list, length=bytes)
cpdef bytes whole_response(bytes status, list fields, tuple date, bytes body, bint has_length=*)
