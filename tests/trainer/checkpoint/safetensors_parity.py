"""Our reader of safetensors files against the Python package: good files, bad ones, mutations.

safetensors_parity.py READ_SAFETENSORS table|fuzz [COUNT]

READ_SAFETENSORS (read_safetensors.cc) is the side that is ours. A file has to be refused if and only
if the package refuses it or one of the rules of stricter() is broken, which trainer/checkpoint/
safetensors.h lists; what both take must be the same tensors. Every refusal names file and place, and
no file may take more memory than its header allows.
"""

import json
import random
import re
import struct
import subprocess
import sys

import numpy
import safetensors
import safetensors.numpy
import safetensors.torch
import torch

INT64_MAX = 2**63 - 1
DTYPE_BITS = {'BOOL': 8, 'F4': 4, 'F6_E2M3': 6, 'F6_E3M2': 6, 'U8': 8, 'I8': 8, 'F8_E5M2': 8,
              'F8_E4M3': 8, 'F8_E8M0': 8, 'F8_E4M3FNUZ': 8, 'F8_E5M2FNUZ': 8, 'I16': 16, 'U16': 16,
              'F16': 16, 'BF16': 16, 'I32': 32, 'U32': 32, 'F32': 32, 'C64': 64, 'F64': 64,
              'I64': 64, 'U64': 64}
MEMORY_OF_A_HEADER_BYTE, MEMORY_OF_A_FILE = 16, 16384


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
    'hole at the start': (one(offsets='[1,3]', data=b'xyz'), 'tensor a: expected its data to begin'),
    'hole': (two('[0,2]', '[3,5]', b'vwxyz'), 'tensor b: expected its data to begin at 2'),
    'overlap': (two('[0,2]', '[1,3]', b'xyz'), 'tensor b: expected its data to begin at 2'),
    'same bytes twice': (two('[0,2]', '[0,2]', b'xy'), 'expected its data to begin at 2'),
    'offsets reversed': (one(offsets='[2,0]'), 'tensor a: expected its data to begin at 0'),
    'more bytes than elements': (one(shape='[1]'), 'tensor a: expected 1 bytes for U8 [1], found 2'),
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
    'metadata twice': (file_of('{"__metadata__":{},"__metadata__":{}}'), '__metadata__ occurs twice'),
    'metadata holds a number': (file_of('{"__metadata__":{"k":1}}'),
                                '__metadata__: k: unexpected number 1'),
    'metadata holds an object': (file_of('{"__metadata__":{"k":{}}}'), '__metadata__: k: unexpected'),
    'metadata holds null': (file_of('{"__metadata__":{"k":null}}'), '__metadata__: k: unexpected null'),
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
    'tensor as an array': (file_of('{"a":["U8",[2],[0,2]]}', b'xy'), 'tensor a: unexpected an array'),
    'dtype as an object': (file_of('{"a":{"dtype":{"U8":null},"shape":[2],"data_offsets":[0,2]}}',
                                   b'xy'), 'tensor a: dtype: unexpected an object'),
    'no elements, size of 2^63': (one(shape='[0,9223372036854775808]', offsets='[0,0]', data=b''),
                                  'tensor a: shape: expected whole numbers'),
    'no elements, product of 2^63': (one(shape='[4294967296,2147483648,0]', offsets='[0,0]',
                                         data=b''), 'is impossible'),
    '65 dimensions': (one(shape='[2' + ',1' * 64 + ']'), 'tensor a: shape: expected at most 64'),
}


def read_ours(program, files):
    data = b''.join(struct.pack('<Q', len(file)) + file for file in files)
    done = subprocess.run([program], input=data, capture_output=True, check=False)
    lines = done.stdout.decode().splitlines()
    if done.returncode != 0:
        sys.exit(f'{program} ended with {done.returncode} at file {len(lines)}, '
                 f'{files[len(lines)]!r}:\n{done.stderr.decode()}')
    return [json.loads(line) for line in lines]


def read_theirs(file):
    """{name: (dtype, shape, bytes)} by the package; None where it refuses."""
    try:
        found = safetensors.deserialize(file)
    except safetensors.SafetensorError:
        return None
    return {name: (tensor['dtype'], tensor['shape'], bytes(tensor['data']))
            for name, tensor in found}


def too_large(shape, bits):
    product = 1
    for size in shape:
        product *= size
        if max(size, product) > INT64_MAX:
            return True
    return product * bits > INT64_MAX


def breaks_entry(pairs):
    """Of [key, value] pairs of a tensor that the package takes; lists of pairs stand for objects."""
    if not isinstance(pairs, Pairs) or {key for key, _ in pairs} != {'dtype', 'shape',
                                                                     'data_offsets'}:
        return True
    fields = dict(pairs)
    return (not isinstance(fields['dtype'], str) or len(fields['shape']) > 64
            or too_large(fields['shape'], DTYPE_BITS[fields['dtype']]))


class Pairs(list):
    """A JSON object with all its keys, doubled ones too."""


def has_doubles(pairs):
    return len({key for key, _ in pairs}) < len(pairs)


def stricter(file):
    """Whether a file that the package takes breaks one of the rules that we add."""
    header = file[8:8 + struct.unpack('<Q', file[:8])[0]].decode()
    if not header.startswith('{'):
        return True
    whole = json.loads(header, object_pairs_hook=Pairs)
    if has_doubles(whole):
        return True
    for name, value in whole:
        if name == '__metadata__':
            if value is None or has_doubles(value):
                return True
        elif breaks_entry(value):
            return True
    return False


def judge(name, file, ours):
    """Compares the two sides on one file; returns the package's tensors."""
    theirs = read_theirs(file)
    header_bytes = min(len(file), struct.unpack('<Q', file[:8].ljust(8, b'\0'))[0])
    allowed = MEMORY_OF_A_FILE + MEMORY_OF_A_HEADER_BYTE * header_bytes
    assert ours['peak_bytes'] <= allowed, (
        f'{name}: expected at most {allowed} bytes of memory, found {ours["peak_bytes"]}: {file!r}')
    if 'error' in ours:
        assert re.match(r'file \d+: safetensors header: .', ours['error']), ours['error']
        assert len(ours['error']) < 2000 and ours['error'].isprintable(), ours['error'][:3000]
        assert theirs is None or stricter(file), f'{name}: the package takes {file!r}: {ours}'
        return theirs
    assert theirs is not None, f'{name}: the package refuses {file!r}, found {ours}'
    assert not stricter(file), f'{name}: expected a refusal of {file!r}, found {ours}'
    found = {tensor: (dtype, shape, file[begin:end])
             for tensor, dtype, shape, begin, end in ours['tensors']}
    assert found == theirs, f'{name}: {file!r}: expected {theirs}, found {found}'
    return theirs


def package_files():
    """Files that the package writes itself."""
    torch.manual_seed(1)
    kinds = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32,
             torch.int16, torch.int8, torch.uint8, torch.bool, torch.float8_e4m3fn,
             torch.float8_e5m2, torch.complex64, torch.uint64, torch.uint32, torch.uint16]
    tensors = {f'{i}.{kind}': torch.randint(0, 2, (i % 4, 3)).to(kind)
               for i, kind in enumerate(kinds)}
    tensors['scalar \u2207 "x"\n'] = torch.tensor(1.5)
    metadata = {'format': 'pt', 'empty': '', '\u00e9': '\t'}
    return {'of torch': safetensors.torch.save(tensors, metadata),
            'of numpy': safetensors.numpy.save({'x': numpy.arange(6.0).reshape(2, 3)}),
            'of nothing': safetensors.torch.save({})}


def check_table(program):
    files = package_files()
    cases = [(name, file, None) for name, file in (files | GOOD).items()]
    cases += [(name, file, message) for name, (file, message) in (BAD | STRICTER).items()]
    answers = read_ours(program, [file for _, file, _ in cases])
    for (name, file, message), ours in zip(cases, answers, strict=True):
        taken = judge(name, file, ours) is not None
        assert taken == (name not in BAD), f'{name}: the package {"takes" if taken else "refuses"} it'
        assert ('error' in ours) == (message is not None), f'{name}: {ours}'
        assert message is None or message in ours['error'], f'{name}: {ours["error"]}'
    metadata = answers[list(files).index('of torch')]['metadata']
    assert metadata == {'format': 'pt', 'empty': '', '\u00e9': '\t'}, metadata
    print(f'{len(files)} files of the package, {len(GOOD)} good ones, {len(BAD)} that both refuse, '
          f'{len(STRICTER)} that only we refuse')


NUMBERS = ['0', '1', '2', '3', '4', '7', '8', '16', '255', '256', '65536', '2147483648',
           '4294967296', '9223372036854775807', '9223372036854775808', '18446744073709551615',
           '18446744073709551616', '-1', '-0', '1.0', '1e1', '1e999', '00', '+1', '0x1', 'NaN']
TOKENS = [*NUMBERS, 'null', 'true', '{', '}', '[', ']', ',', ':', '"', '\\', ' ', '\t', '\0', '{}',
          '[]', '""', '"a":', '"dtype":', '"shape":', '"data_offsets":', '"__metadata__":',
          '"dtype":"U8",', '"__metadata__":{"k":"v"},', '\u00e9', '\ud83d\ude00', '\\u0000',
          '\\ud800', ',0', '0,', entry() + ',', '/**/', *(f'"{name}"' for name in DTYPE_BITS)]
TOKEN_BYTES = [token.encode('utf-16', 'surrogatepass').decode('utf-16').encode() for token in TOKENS]


def edited_header(numbers, header):
    """One edit of the JSON, by bytes or by tokens."""
    begin = numbers.randrange(len(header) + 1)
    end = min(len(header), begin + numbers.choice((0, 1, 1, 2, 8, 40)))
    kind = numbers.randrange(6)
    if kind == 0:
        return header[:begin] + numbers.choice(TOKEN_BYTES) + header[end:]
    if kind == 1:
        return header[:begin] + header[end:]
    if kind == 2:
        return header[:begin] + header[begin:end] * 2 + header[end:]
    if kind == 3:
        return header[:begin] + bytes([numbers.randrange(256)]) + header[begin + 1:]
    pattern = rb'-?\d+' if kind == 4 else rb'"[A-Za-z0-9_]*"'
    place = numbers.choice(list(re.finditer(pattern, header)) or [re.match(b'', header)])
    choices = NUMBERS if kind == 4 else [f'"{name}"' for name in [*DTYPE_BITS, 'a', 'shape']]
    return header[:place.start()] + numbers.choice(choices).encode() + header[place.end():]


def random_file(numbers):
    """A good file of a few small tensors, listed in any order."""
    entries, at = [], 0
    for i in range(numbers.randrange(5)):
        dtype = numbers.choice(list(DTYPE_BITS))
        shape = [numbers.choice((0, 1, 2, 4)) for _ in range(numbers.randrange(3))] + [4]
        end = at + numpy.prod(shape) * DTYPE_BITS[dtype] // 8
        entries.append(f'"t{i}":' + entry(dtype, str(shape), f'[{at},{end}]'))
        at = end
    numbers.shuffle(entries)
    blanks = ' ' * numbers.randrange(3)
    return file_of('{' + f',{blanks}'.join(entries) + '}' + blanks, numbers.randbytes(at))


def mutated(numbers, file):
    length = struct.unpack('<Q', file[:8])[0]
    header, data = file[8:8 + length], file[8 + length:]
    for _ in range(numbers.choice((0, 1, 1, 1, 2, 4))):
        header = edited_header(numbers, header)
    if numbers.random() < 0.2:
        data = numbers.choice((data[:-1], data + b'\0', b'', data * 2))
    if numbers.random() < 0.1:
        length = numbers.choice((0, 7, len(header) - 1, len(header) + 1, 10**8, 2**32, 2**63))
        return file_of(header, data, max(length, 0))
    return file_of(header, data)


def check_mutations(program, count):
    seeds = [*package_files().values(), *GOOD.values(), *(file for file, _ in STRICTER.values())]
    numbers = random.Random(20260)
    taken = refused = 0
    for begin in range(0, count, 2000):
        files = [mutated(numbers, numbers.choice(seeds) if numbers.random() < 0.5
                         else random_file(numbers)) for _ in range(min(2000, count - begin))]
        for i, (file, ours) in enumerate(zip(files, read_ours(program, files), strict=True)):
            judge(f'mutation {begin + i}', file, ours)
            taken += 'error' not in ours
            refused += 'error' in ours
    print(f'{count} mutations: {taken} taken, {refused} refused')
    assert taken > count // 10 and refused > count // 2, 'expected mutations of both kinds'


if __name__ == '__main__':
    if sys.argv[2] == 'table':
        check_table(sys.argv[1])
    else:
        check_mutations(sys.argv[1], int(sys.argv[3]))
