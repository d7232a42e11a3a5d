"""Our reader of safetensors files against the Python package: good files, bad ones, mutations.

safetensors_parity.py READ_SAFETENSORS table|fuzz [COUNT]

READ_SAFETENSORS (read_safetensors.cc) is the side that is ours. A file has to be refused if and
only if the package refuses it or it breaks one of the rules of stricter(), which are those listed
in trainer/checkpoint/safetensors.h; what both take must be the same tensors. Every refusal names
file and place, and no file may take more memory than its header allows.
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

from safetensors_cases import (BAD, DTYPE_BITS, GOOD, INT64_MAX, LARGE_BAD, LARGE_GOOD, STRICTER,
                               entry, file_of)

MEMORY_OF_A_HEADER_BYTE, MEMORY_OF_A_FILE = 16, 16384


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


class Pairs(list):
    """A JSON object with all its keys, doubled ones too."""


def breaks_entry(pairs):
    """Of the value of a tensor that the package takes."""
    if not isinstance(pairs, Pairs) or {key for key, _ in pairs} != {'dtype', 'shape',
                                                                     'data_offsets'}:
        return True
    fields = dict(pairs)
    return (not isinstance(fields['dtype'], str) or len(fields['shape']) > 64
            or too_large(fields['shape'], DTYPE_BITS[fields['dtype']]))


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
        f'{name}: expected at most {allowed} bytes of memory, found {ours["peak_bytes"]}: {file[:1000]!r}')
    if 'error' in ours:
        assert re.match(r'file \d+: safetensors header: .', ours['error']), ours['error']
        assert len(ours['error']) < 2000 and ours['error'].isprintable(), ours['error'][:3000]
        assert theirs is None or stricter(file), f'{name}: the package takes {file[:1000]!r}: {ours}'
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
    cases = [(name, file, None) for name, file in (files | GOOD | LARGE_GOOD).items()]
    cases += [(name, file, message)
              for name, (file, message) in (BAD | LARGE_BAD | STRICTER).items()]
    answers = read_ours(program, [file for _, file, _ in cases])
    for (name, file, message), ours in zip(cases, answers, strict=True):
        taken = judge(name, file, ours) is not None
        if name not in LARGE_BAD:  # some break one of our rules only
            assert taken == (name not in BAD), f'{name}: taken by the package: {taken}'
        assert ('error' in ours) == (message is not None), f'{name}: {ours}'
        assert message is None or message in ours['error'], f'{name}: {ours["error"]}'
    metadata = answers[list(files).index('of torch')]['metadata']
    assert metadata == {'format': 'pt', 'empty': '', '\u00e9': '\t'}, metadata
    print(f'{len(files)} files of the package, {len(GOOD)} good ones, {len(BAD)} that both refuse, '
          f'{len(STRICTER)} that only we refuse, {len(LARGE_GOOD | LARGE_BAD)} large ones')


NUMBERS = ['0', '1', '2', '3', '4', '7', '8', '16', '255', '256', '65536', '2147483648',
           '4294967296', '9223372036854775807', '9223372036854775808', '18446744073709551615',
           '18446744073709551616', '-1', '-0', '1.0', '1e1', '1e999', '00', '+1', '0x1', 'NaN']
TOKENS = [*NUMBERS, 'null', 'true', '{', '}', '[', ']', ',', ':', '"', '\\', ' ', '\t', '\0', '{}',
          '[]', '""', '"a":', '"dtype":', '"shape":', '"data_offsets":', '"__metadata__":',
          '"dtype":"U8",', '"__metadata__":{"k":"v"},', '\u00e9', '\U0001f600', '\\u0000',
          '\\ud800', ',0', '0,', entry() + ',', '/**/', *(f'"{name}"' for name in DTYPE_BITS)]


def edited_header(numbers, header):
    """One edit of the JSON, by bytes or by tokens."""
    begin = numbers.randrange(len(header) + 1)
    end = min(len(header), begin + numbers.choice((0, 1, 1, 2, 8, 40)))
    kind = numbers.randrange(6)
    if kind == 0:
        return header[:begin] + numbers.choice(TOKENS).encode() + header[end:]
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
