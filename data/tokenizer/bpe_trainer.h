// Trains a byte-level BPE vocabulary. Local. Deterministic: the result depends on the pieces and
// how often they occur, not on the order of the documents or the number of threads that count them.
// The rules, ties included, are those of Hugging Face `tokenizers`' BpeTrainer with the byte
// alphabet, so its merges are the same: the most frequent pair first, of equally frequent ones the
// least (left id, right id). Ids: 256 bytes in the order of their stand-ins (byte_alphabet.h),
// merged tokens in the order they were made, special tokens. Time: counts are updated where a merge
// happens, only there. Memory: the distinct pieces and, for every pair, the pieces that hold it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/tokenizer/piece_counter.h"
#include "data/tokenizer/tokenizer.h"

namespace phalanx {

struct TrainOptions {
  int64_t vocab_size = 0;  // everything counted: bytes, merged tokens, specials
  std::vector<std::string> specials = {"<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|im_sep|>",
                                       "<|pad|>"};
  SplitPattern pattern = SplitPattern::kCl100k;
  int num_threads = 1;
};

// next_document is called by one thread at a time. Throws what it throws, and std::invalid_argument
// where vocab_size is out of range, a special is empty or given twice, or the text has too few
// pairs for the size asked.
TokenizerParts train_bpe(const NextDocument& next_document, const TrainOptions& options);

}  // namespace phalanx
