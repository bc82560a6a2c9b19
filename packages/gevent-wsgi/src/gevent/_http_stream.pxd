cimport cython

from gevent._http1 cimport ChunkedDecoder


cpdef set_timeout(object socket, object seconds)


cdef class Lines:
    pass


cdef class ConnectionReader(Lines):
    cdef object __weakref__
    cdef object _socket
    cdef object _receive
    cdef double _until
    cdef double _rate
    cdef double _patience
    cdef object _standing
    cdef public object timeout
    cdef public bytes data
    cdef public Py_ssize_t pos
    cdef public bint closed
    cdef public bint taken

    cpdef limit(self, object seconds)
    cpdef pace(self, object rate)
    cpdef release(self)
    cpdef restore(self, object timeout)
    cdef _receive_within(self, object seconds)
    @cython.locals(began=double)
    cdef _receive_paced(self)
    cpdef bint fill(self) except -1
    cpdef Py_ssize_t buffered(self) except -1
    @cython.locals(data=bytes, pos=Py_ssize_t, stop=Py_ssize_t, p='const unsigned char *')
    cpdef bytes read1(self, Py_ssize_t size=*)
    @cython.locals(wanted=Py_ssize_t, left=Py_ssize_t, piece=bytes, pieces=list)
    cpdef bytes read(self, object size=*)
    @cython.locals(most=Py_ssize_t, searched=Py_ssize_t, found=Py_ssize_t, size=Py_ssize_t, pos=Py_ssize_t, data=bytes)
    cpdef bytes readline(self, object limit=*)


cdef class Input(Lines):
    cdef object __weakref__
    cdef public object rfile
    cdef public object content_length
    cdef public object socket
    cdef public object position
    cdef public object max_length
    cdef public bint chunked_input
    cdef public bint send_100_continue_enabled
    cdef ChunkedDecoder _decoder
    cdef long long _left
    cdef bytes _pending
    cdef Py_ssize_t _pending_at
    cdef object _error

    @cython.locals(data=bytes)
    cdef bytes _receive(self, object size)
    @cython.locals(decoder=ChunkedDecoder, pieces=list, reader=ConnectionReader)
    cdef bytes _receive_chunked(self, object size)
    @cython.locals(decoder=ChunkedDecoder, rest=bytes, more=bytes)
    cdef _decode_from_file(self, list pieces, object size)
    @cython.locals(start=Py_ssize_t, data=bytes)
    cdef bytes _take_pending(self, object size)
    @cython.locals(left='long long', reader=ConnectionReader, pos=Py_ssize_t, stop=Py_ssize_t, p='const unsigned char *', piece=bytes,
                   pieces=list)
    cpdef bytes read(self, object length=*)
    @cython.locals(start=Py_ssize_t, found=Py_ssize_t, stop=Py_ssize_t, piece=bytes, pieces=list)
    cpdef bytes readline(self, object size=*)
    cpdef Py_ssize_t _drop(self) except -1
    cpdef bint at_end(self) except -1
    @cython.locals(reader=ConnectionReader)
    cpdef bint is_received(self) except -1
    cpdef bint is_failure(self, object ex) except -1
    cpdef bint has_failed(self) except -1
