#include "data/tokenizer/piece_counter.h"

#include <xxhash.h>

#include <algorithm>
#include <exception>
#include <list>
#include <mutex>
#include <thread>
#include <vector>

namespace phalanx {
namespace {

constexpr size_t kBatchBytes = size_t{1} << 20;  // of documents that a thread takes at once

// Hands out documents to threads; after an error there are no more.
class DocumentSource {
 public:
  explicit DocumentSource(const NextDocument& next) : next_(next) {}

  // False where there are no more.
  bool take(std::vector<std::string>& documents) {
    documents.clear();
    const std::lock_guard lock(mutex_);
    try {
      for (size_t bytes = 0; !ended_ && bytes < kBatchBytes;) {
        documents.emplace_back();
        ended_ = !next_(documents.back());
        if (ended_) documents.pop_back();
        if (!ended_) bytes += std::max<size_t>(documents.back().size(), 1);
      }
    } catch (...) {
      documents.clear();
      ended_ = true;
      error_ = std::current_exception();
    }
    return !documents.empty();
  }
  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  const NextDocument& next_;
  std::mutex mutex_;
  bool ended_ = false;  // guarded by mutex_, as all below
  std::exception_ptr error_;
};

void count_from(DocumentSource& source, PieceCounter& counter) {
  for (std::vector<std::string> documents; source.take(documents);) {
    for (const std::string& document : documents) counter.add(document);
  }
}

}  // namespace

size_t PieceCounter::Hash::operator()(std::string_view text) const {
  return static_cast<size_t>(XXH3_64bits(text.data(), text.size()));
}

void PieceCounter::add(std::string_view document) {
  pretokenizer_.each_piece(document, [this](std::string_view piece) { count(piece, 1); });
}

void PieceCounter::count(std::string_view piece, int64_t times) {
  const auto found = places_.find(piece);
  if (found != places_.end()) {
    pieces_[found->second].second += times;
    return;
  }
  pieces_.emplace_back(std::string(piece), times);
  places_.emplace(pieces_.back().first, pieces_.size() - 1);
}

PieceCounter count_pieces(const NextDocument& next_document, SplitPattern pattern,
                          int num_threads) {
  DocumentSource source(next_document);
  std::list<PieceCounter> others;
  PieceCounter counter(pattern);
  {
    std::vector<std::jthread> threads;
    for (int i = 1; i < num_threads; ++i) {
      PieceCounter& other = others.emplace_back(pattern);
      threads.emplace_back([&source, &other] { count_from(source, other); });
    }
    count_from(source, counter);
  }
  source.rethrow();
  for (; !others.empty(); others.pop_front()) {
    for (const auto& [piece, times] : others.front().pieces()) counter.count(piece, times);
  }
  return counter;
}

}  // namespace phalanx
