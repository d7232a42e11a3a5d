// Encodes the documents of a file (one JSON string a line, or the whole file) and prints a line of
// JSON: seconds of the best round by the clock and of the processor, the number of ids, and how
// long the tokenizer took to load. IDS: a file for the ids, 32 bits each, for a comparison with
// other encoders (tokenizer_bench.py). Reading is not timed; each round begins with empty caches.
// Not a test: times depend on the machine. Build target tokenizer_bench.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "data/tokenizer/encoder.h"
#include "data/tokenizer/tokenizer_file.h"

namespace {

using namespace phalanx;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// Of the processor, all threads together: on a busy machine the clock tells less.
double processor_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

std::vector<std::string> read_documents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<std::string> documents;
  if (path.ends_with(".jsonl")) {
    for (std::string line; std::getline(file, line);) {
      documents.push_back(nlohmann::json::parse(line).get<std::string>());
    }
  } else {
    documents.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return documents;
}

// Of thread `index` of `count`: each takes a run of documents of about as many bytes.
void encode_share(Encoder& encoder, const std::vector<std::string>& documents, size_t total,
                  size_t index, size_t count, std::vector<int32_t>& ids) {
  size_t begin = 0;
  for (const std::string& document : documents) {
    if (begin * count / (total + 1) == index) encoder.encode(document, ids);
    begin += document.size();
  }
}

// The encoders are new, so that nothing is known of earlier text; to make them is not timed.
double encode_all(std::vector<std::unique_ptr<Encoder>>& encoders,
                  const std::vector<std::string>& documents,
                  std::vector<std::vector<int32_t>>& ids) {
  size_t total = 0;
  for (const std::string& document : documents) total += document.size();
  for (auto& share : ids) share = {};  // memory for results is part of the work, as for the peers
  const auto begin = Clock::now();
  std::vector<std::thread> threads;
  for (size_t i = 1; i < ids.size(); ++i) {
    threads.emplace_back(
        [&, i] { encode_share(*encoders[i], documents, total, i, ids.size(), ids[i]); });
  }
  encode_share(*encoders[0], documents, total, 0, ids.size(), ids[0]);
  for (std::thread& thread : threads) thread.join();
  return seconds_since(begin);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5 && argc != 6) {
    std::fputs(
        "Usage: tokenizer_bench TOKENIZER FILE THREADS ROUNDS [IDS]\n"
        "Example: tokenizer_bench cl100k_base.tiktoken text.jsonl 1 5\n",
        stderr);
    return 2;
  }
  const auto load_begin = Clock::now();
  const auto tokenizer = load_tokenizer(argv[1]);
  (void)tokenizer->long_merger();  // else the first round would make it
  const double load = seconds_since(load_begin);
  const std::vector<std::string> documents = read_documents(argv[2]);
  std::vector<std::vector<int32_t>> ids(std::stoul(argv[3]));
  double best = 1e30, best_processor = 1e30;
  for (int round = 0; round < std::stoi(argv[4]); ++round) {
    std::vector<std::unique_ptr<Encoder>> encoders;
    for (size_t i = 0; i < ids.size(); ++i)
      encoders.push_back(std::make_unique<Encoder>(*tokenizer));
    const double before = processor_seconds();
    best = std::min(best, encode_all(encoders, documents, ids));
    best_processor = std::min(best_processor, processor_seconds() - before);
  }
  size_t num_ids = 0;
  std::ofstream file;
  if (argc == 6) file.open(argv[5], std::ios::binary);
  for (const auto& share : ids) {
    num_ids += share.size();
    if (argc < 6) continue;
    file.write(reinterpret_cast<const char*>(share.data()),
               static_cast<std::streamsize>(share.size() * sizeof(int32_t)));
  }
  fmt::print(
      "{{\"seconds\": {:.6f}, \"processor_seconds\": {:.6f}, \"ids\": {}, \"load_seconds\": "
      "{:.4f}}}\n",
      best, best_processor, num_ids, load);
}
