"""Safetensors files that break one rule each, and good ones that look as if they did."""

import struct

INT64_MAX = 2**63 - 1
DTYPE_BITS = {'BOOL': 8, 'F4': 4, 'F6_E2M3': 6, 'F6_E3M2': 6, 'U8': 8, 'I8': 8, 'F8_E5M2': 8,
              'F8_E4M3': 8, 'F8_E8M0': 8, 'F8_E4M3FNUZ': 8, 'F8_E5M2FNUZ': 8, 'I16': 16, 'U16': 16,
              'F16': 16, 'BF16': 16, 'I32': 32, 'U32': 32, 'F32': 32, 'C64': 64, 'F64': 64,
              'I64': 64, 'U64': 64}


def file_of(header, data=b'', length=None):
    """A file of these parts; `length` is what it says of its header, when not the truth."""
    text = header if isinstance(header, bytes) else header.encode()
    return struct.pack('<Q', len(text) if length is None else length) + text + data


def entry(dtype='U8', shape='[2]', offsets='[0,2]', more=''):
    return f'{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}{more}}}'


def one(*arguments, data=b'xy', **options):
    return file_of('{"a":' + entry(*arguments, **options) + '}', data)


def two(first, second, data):
    return file_of(f'{{"a":{entry(offsets=first)},"b":{entry(offsets=second)}}}', data)


PACKED = {f'dtype {name}': one(name, '[8]', f'[0,{bits}]', data=bytes(range(bits)))
          for name, bits in DTYPE_BITS.items()}

GOOD = PACKED | {
    'no tensors': file_of('{}'),
    'padded with spaces': file_of('{}      '),
    'padded with other blanks': file_of('{} \n\t\r'),
    'blanks inside': file_of('{ "a" :\n' + entry() + ' }', b'xy'),
    'no dimensions': one('F32', '[]', '[0,4]', data=b'abcd'),
    'no elements': one('F32', '[3,0,5]', '[0,0]', data=b''),
    'no elements between others': file_of(
        f'{{"a":{entry()},"e":{entry(shape="[0]", offsets="[2,2]")},'
        f'"b":{entry(offsets="[2,4]")}}}', b'wxyz'),
    'listed in another order': two('[2,4]', '[0,2]', b'wxyz'),
    'keys in another order': file_of(
        '{"a":{"data_offsets":[0,2],"shape":[2],"dtype":"U8"}}', b'xy'),
    'empty metadata': file_of('{"__metadata__":{}}'),
    'metadata behind a tensor': file_of(f'{{"a":{entry()},"__metadata__":{{"k":"v"}}}}', b'xy'),
    'empty name': file_of(f'{{"":{entry()}}}', b'xy'),
    'escapes in a name': file_of(f'{{"\\u0061\\n\\"\\ud83d\\ude00":{entry()}}}', b'xy'),
    'name beyond ASCII': file_of(f'{{"\u00e9\u2207":{entry()}}}', b'xy'),
    '64 dimensions': one(shape='[2' + ',1' * 63 + ']'),
    'zero before a large size': one(shape=f'[0,{INT64_MAX}]', offsets='[0,0]', data=b''),
}

# Headers of 0.3 to 1 MB, each with as much as can be of one thing: what they cost in memory.
LARGE_GOOD = {
    '10,000 tensors': file_of('{' + ','.join(
        f'"{i}":{entry(shape="[0]", offsets="[0,0]")}' for i in range(10000)) + '}'),
    '1,000 tensors of 64 dimensions': file_of('{' + ','.join(
        f'"{i}":{entry(shape="[0" + ",1" * 63 + "]", offsets="[0,0]")}'
        for i in range(1000)) + '}'),
    '50,000 keys of metadata': file_of('{"__metadata__":{' + ','.join(
        f'"{i:x}":""' for i in range(50000)) + '}}'),
    'a name of 1 MB': file_of('{"' + 'x' * 1_000_000 + '":' + entry() + '}', b'xy'),
    '1 MB of blanks': file_of('{}' + ' ' * 1_000_000),
}
LARGE_BAD = {
    'a shape of 500,000 sizes': (one(shape='[2' + ',1' * 500_000 + ']'), 'expected at most 64'),
    '500,000 offsets': (one(offsets='[0' + ',2' * 500_000 + ']'), 'expected at most 2'),
    'a number of 1 MB': (one(shape='[2' + '0' * 1_000_000 + ']'), 'byte '),
    'a dtype of 1 MB': (one('x' * 1_000_000), 'tensor a: unknown dtype xxx'),
    'a key of 1 MB': (one(more=',"' + 'x' * 1_000_000 + '":1'), 'tensor a: unknown key xxx'),
}

# name: (file, what our message says)
BAD = {
    'empty file': (b'', 'at least 8 bytes in the file, found 0'),
    'seven bytes': (b'\2\0\0\0\0\0\0', 'at least 8 bytes in the file, found 7'),
    'length only': (file_of(''), "expected '{'"),
    'length beyond the file': (file_of('{}', length=3), 'length of at most 2, found 3'),
    'length of 2^63': (file_of('{}', length=2**63), 'found 9223372036854775808'),
    'length of 2^64 - 1': (file_of('{}', length=2**64 - 1), 'found 18446744073709551615'),
    'length too short': (file_of('{}', length=1), 'parse error'),
    'length into the data': (file_of('{}', b'xy', length=3), 'parse error'),
    'not UTF-8': (file_of(b'{"\xff":' + entry().encode() + b'}', b'xy'), 'parse error'),
    'overlong UTF-8': (file_of(b'{"\xc0\xaf":' + entry().encode() + b'}', b'xy'), 'parse error'),
    'byte order mark': (file_of(b'\xef\xbb\xbf{}'), "expected '{'"),
    'not JSON': (file_of('{"a"'), 'parse error'),
    'two values': (file_of('{}{}'), 'parse error'),
    'comma at the end': (file_of(f'{{"a":{entry()},}}', b'xy'), 'parse error'),
    'comment': (file_of('{/**/}'), 'parse error'),
    'single quotes': (file_of("{'a':1}"), 'parse error'),
    'newline in a name': (file_of('{"a\n":' + entry() + '}', b'xy'), 'parse error'),
    'half a surrogate pair': (file_of('{"\\ud800":' + entry() + '}', b'xy'), 'parse error'),
    'zero byte behind the JSON': (file_of('{}\0'), 'byte 2: expected JSON, found a zero'),
    'data in the padding': (file_of('{}\0{"a":1}'), 'byte 2: expected JSON, found a zero'),
    'an array': (file_of('[]'), "expected '{'"),
    'bytes behind the tensors': (one(data=b'xyz'), 'expected 2 bytes of data, found 3'),
    'bytes behind no tensors': (file_of('{}', b'x'), 'expected 0 bytes of data, found 1'),
    'data missing': (one(data=b'x'), 'expected 2 bytes of data, found 1'),
    'beyond the end': (one(shape='[4]', offsets='[0,4]'), 'expected 4 bytes of data, found 2'),
    'hole at the start': (one(offsets='[1,3]', data=b'xyz'), 'expected its data to begin at 0'),
    'hole': (two('[0,2]', '[3,5]', b'vwxyz'), 'tensor b: expected its data to begin at 2'),
    'overlap': (two('[0,2]', '[1,3]', b'xyz'), 'tensor b: expected its data to begin at 2'),
    'same bytes twice': (two('[0,2]', '[0,2]', b'xy'), 'expected its data to begin at 2'),
    'offsets reversed': (one(offsets='[2,0]'), 'tensor a: expected its data to begin at 0'),
    'more bytes than elements': (one(shape='[1]'), 'expected 1 bytes for U8 [1], found 2'),
    'fewer bytes than elements': (one('F32'), 'tensor a: expected 8 bytes for F32 [2], found 2'),
    'half a byte': (one('F4', '[3]'), 'tensor a: expected F4 [3] to fill'),
    'a quarter of a byte': (one('F6_E2M3', '[2]'), 'tensor a: expected F6_E2M3 [2] to fill'),
    'product of sizes overflows': (one(shape='[4294967296,4294967296]', offsets='[0,0]', data=b''),
                                   'tensor a: the shape [4294967296, 4294967296] is impossible'),
    'product wraps to the right size': (one(shape='[4294967297,4294967296,2]'), 'is impossible'),
    'bits overflow': (one('F64', f'[{INT64_MAX}]', '[0,0]', data=b''), 'to fill a number of whole'),
    'negative size': (one(shape='[-2]'), 'tensor a: shape: expected whole numbers from 0 to'),
    'minus zero': (one(shape='[-0]', offsets='[0,0]', data=b''), 'tensor a: shape: expected whole'),
    'fractional size': (one(shape='[2.0]'), 'found 2.0'),
    'size with an exponent': (one(shape='[2e0]'), 'found 2e0'),
    'size of 2^64': (one(shape='[18446744073709551616]'), 'found 18446744073709551616'),
    'size out of any range': (one(shape='[1e999]'), 'byte 33: '),
    'size in a string': (one(shape='["2"]'), 'tensor a: shape: unexpected a string'),
    'shape in a shape': (one(shape='[[2]]'), 'tensor a: shape: unexpected an array'),
    'shape is a number': (one(shape='2'), 'tensor a: shape: unexpected number 2'),
    'negative offset': (one(offsets='[-1,1]'), 'tensor a: data_offsets: expected whole numbers'),
    'one offset': (one(offsets='[2]'), 'two data_offsets'),
    'three offsets': (one(offsets='[0,2,2]'), 'tensor a: data_offsets: expected at most 2'),
    'no offsets': (file_of('{"a":{"dtype":"U8","shape":[2]}}', b'xy'), 'two data_offsets'),
    'no dtype': (file_of('{"a":{"shape":[2],"data_offsets":[0,2]}}', b'xy'), 'expected a dtype'),
    'no shape': (file_of('{"a":{"dtype":"U8","data_offsets":[0,2]}}', b'xy'), 'a shape'),
    'dtype twice': (one(more=',"dtype":"U8"'), 'tensor a: key dtype occurs twice'),
    'unknown dtype': (one('F31'), 'tensor a: unknown dtype F31'),
    'dtype in small letters': (one('u8'), 'tensor a: unknown dtype u8'),
    'dtype is a number': (file_of('{"a":{"dtype":8,"shape":[2],"data_offsets":[0,2]}}', b'xy'),
                          'tensor a: dtype: unexpected number 8'),
    'tensor is null': (file_of('{"a":null}'), 'tensor a: unexpected null'),
    'tensor is a number': (file_of('{"a":1}'), 'tensor a: unexpected number 1'),
    'metadata twice': (file_of('{"__metadata__":{},"__metadata__":{}}'),
                       '__metadata__ occurs twice'),
    'metadata holds a number': (file_of('{"__metadata__":{"k":1}}'),
                                '__metadata__: k: unexpected number 1'),
    'metadata holds an object': (file_of('{"__metadata__":{"k":{}}}'),
                                 '__metadata__: k: unexpected an object'),
    'metadata holds null': (file_of('{"__metadata__":{"k":null}}'),
                            '__metadata__: k: unexpected null'),
    'metadata is a string': (file_of('{"__metadata__":"x"}'), '__metadata__: unexpected a string'),
    'deep nesting': (file_of('{"a":' + '[' * 100000), 'tensor a: unexpected an array'),
    'deep nesting of objects': (file_of('{"a":' * 100000), 'tensor a: unknown key a'),
}

# What the package takes and we refuse, on purpose: safetensors.h says why.
STRICTER = {
    'blanks before the header': (file_of(' {}'), "expected '{'"),
    'tensor twice': (file_of(f'{{"a":{entry()},"a":{entry()}}}', b'xy'), 'tensor a occurs twice'),
    'metadata key twice': (file_of('{"__metadata__":{"k":"1","k":"2"}}'),
                           '__metadata__: key k occurs twice'),
    'metadata is null': (file_of('{"__metadata__":null}'), '__metadata__: unexpected null'),
    'unknown key': (one(more=',"x":1'), 'tensor a: unknown key x'),
    'tensor as an array': (file_of('{"a":["U8",[2],[0,2]]}', b'xy'),
                           'tensor a: unexpected an array'),
    'dtype as an object': (file_of('{"a":{"dtype":{"U8":null},"shape":[2],"data_offsets":[0,2]}}',
                                   b'xy'), 'tensor a: dtype: unexpected an object'),
    'no elements, size of 2^63': (one(shape='[0,9223372036854775808]', offsets='[0,0]', data=b''),
                                  'tensor a: shape: expected whole numbers'),
    'no elements, product of 2^63': (one(shape='[4294967296,2147483648,0]', offsets='[0,0]',
                                         data=b''), 'is impossible'),
    '65 dimensions': (one(shape='[2' + ',1' * 64 + ']'), 'tensor a: shape: expected at most 64'),
}
