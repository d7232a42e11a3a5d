// Tokenizer files. Local; one rank reads or writes. Two formats:
//   tokenizer.json   Hugging Face `tokenizers`: byte-level BPE with a pattern of split_pattern.h
//                    (Split and ByteLevel, or GPT-2's ByteLevel), normalizer none or NFC.
//                    Read strictly: whatever would change the ids and is not known here is refused.
//                    post_processor is not read: it only adds specials, which is the caller's
//                    business. Written so that `tokenizers` 0.13 and later load it.
//   *.tiktoken       rank file of cl100k_base or o200k_base (base64 token, space, rank), with
//                    tiktoken's specials of it.
// Bad files: std::invalid_argument with file and place, before memory beyond a small multiple of
// the file is taken (files above 256 MiB are refused). Unreadable or unwritable: std::system_error.
#pragma once

#include <memory>
#include <string>

#include "data/tokenizer/tokenizer.h"

namespace phalanx {

// The file that `path` means: itself, or of a folder its tokenizer.json, which an imported
// checkpoint keeps as hf.tokenizer.json.
std::string tokenizer_file(const std::string& path);

// `path`: as tokenizer_file() has it. The file ends in ".tiktoken": a rank file.
std::unique_ptr<Tokenizer> load_tokenizer(const std::string& path);

// The two formats from memory; `origin` (the file's name) leads every message.
TokenizerParts parse_tokenizer_json(const std::string& text, const std::string& origin);
TokenizerParts parse_ranks(const std::string& text, const std::string& origin);

// cl100k's ranks as phi-4 uses them: cut as its tokenizer.json has it, with its 96 specials, ids
// 100256..100351, which take the white space beside them along. Throws std::invalid_argument, led
// by `origin`, where `ranks` are not those of cl100k_base.
TokenizerParts phi4_parts(const TokenizerParts& ranks, const std::string& origin);

std::string tokenizer_json(const Tokenizer& tokenizer);

// Writes <folder>/tokenizer.json, making the folder if needed; a file of that name is replaced only
// once the new one is complete. Returns the path.
std::string save_tokenizer(const Tokenizer& tokenizer, const std::string& folder);

}  // namespace phalanx
