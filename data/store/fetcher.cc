#include "data/store/fetcher.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <thread>

#include "data/block_hash.h"
#include "data/shards/dataset_manifest.h"
#include "data/store/fetch_policy.h"

namespace phalanx {
namespace {

constexpr std::chrono::milliseconds kPause{20};

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Ends a transfer from inside.
struct WrongBody {
  std::string text;
};
struct SeenEnough {};

std::optional<int64_t> number(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

std::optional<int64_t> header_number(const HttpAnswer& answer, const char* name) {
  const auto header = answer.headers.find(name);
  return header == answer.headers.end() ? std::nullopt : number(header->second);
}

/// Of "bytes 100-199/1000": where it begins, and the whole; of "bytes */1000" the whole alone.
struct ContentRange {
  std::optional<int64_t> begin, total;
};

ContentRange content_range(const HttpAnswer& answer) {
  const auto header = answer.headers.find("content-range");
  if (header == answer.headers.end() || !header->second.starts_with("bytes ")) return {};
  const std::string_view text = std::string_view(header->second).substr(6);
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return {};
  return {number(text.substr(0, std::min(text.find('-'), slash))), number(text.substr(slash + 1))};
}

std::string wrong_size(int64_t expected, int64_t found) {
  return fmt::format("expected {} bytes as {} says, found {}", expected, kManifestName, found);
}

int64_t whole_size(const DatasetFile& file) { return file.head_of > 0 ? file.head_of : file.bytes; }

/// What the store says of the whole file's size, should it say it.
std::optional<int64_t> told_size(const HttpAnswer& answer) {
  if (answer.status == 206 || answer.status == 416) return content_range(answer).total;
  return header_number(answer, "content-length");
}

/// Throws if the store tells another size, with the body or (416) instead of it.
void check_told_size(const HttpAnswer& answer, const DatasetFile& file) {
  const std::optional<int64_t> told = told_size(answer);
  if (!is_good(answer) && answer.status != 416) return;
  if (told && *told != whole_size(file)) throw WrongBody{wrong_size(whole_size(file), *told)};
}

/// Appends a body to the target, from where it goes on.
class BodySink {
 public:
  BodySink(const DatasetFile& file, FetchTarget& target) : file_(file), target_(target) {}

  void take(const HttpAnswer& so_far, std::span<const std::byte> piece) {
    if (!begun_) begin(so_far);
    begun_ = true;
    const int64_t left = file_.bytes - target_.size();
    const bool more = static_cast<int64_t>(piece.size()) > left;
    if (more && file_.head_of == 0) {
      throw WrongBody{wrong_size(file_.bytes, file_.bytes - left + std::ssize(piece)) + " or more"};
    }
    target_.append(more ? piece.first(static_cast<size_t>(left)) : piece);
    if (more) throw SeenEnough();  // of a store without ranges, which sends the whole file
  }

 private:
  void begin(const HttpAnswer& so_far) {
    const std::optional<int64_t> told = told_size(so_far);
    if (told && *told != whole_size(file_)) throw WrongBody{wrong_size(whole_size(file_), *told)};
    const bool goes_on = so_far.status == 206 && content_range(so_far).begin == target_.size();
    if (goes_on) return;
    if (so_far.status == 206) throw WrongBody{"206 with another part than was asked for"};
    if (target_.size() > 0) target_.restart();
  }

  const DatasetFile& file_;
  FetchTarget& target_;
  bool begun_ = false;
};

bool is_strong_etag(const std::string& etag) { return etag.starts_with('"'); }

}  // namespace

Fetcher::Fetcher(const RequestMaker& requests, const HttpLimits& limits, Patience patience,
                 std::function<bool()> stopped, std::function<bool()> unwanted)
    : requests_(requests),
      patience_(std::move(patience)),
      stopped_(std::move(stopped)),
      unwanted_(std::move(unwanted)),
      client_(limits, stopped_) {}

void Fetcher::pause(double seconds) const {
  const double end = now_seconds() + seconds;
  while (now_seconds() < end) {
    if (stopped_() || unwanted_()) throw FetchStopped();
    std::this_thread::sleep_for(kPause);
  }
}

FetchTries Fetcher::tries_for(const Places& places, const std::string& name, double waited,
                              Absence absence) const {
  std::vector<std::string> addresses;
  for (const StoreUrl& place : places) addresses.push_back(requests_.address(place.below(name)));
  return FetchTries(std::move(addresses), patience_, now_seconds() - waited, absence);
}

HttpAnswer Fetcher::send(const StoreUrl& url, const HttpHeaders& headers, const HttpSink& sink) {
  HttpAnswer answer = client_.send(requests_.make(url, headers), sink);
  if (answer.end == HttpEnd::kStopped) throw FetchStopped();
  if (is_good(answer)) requests_.note_accepted(url);
  return answer;
}

Fetcher::Problem Fetcher::problem_of(const StoreUrl& url, const HttpAnswer& answer) const {
  HttpAnswer shown = answer;  // before it is cut to a line, which could cut a key in two
  shown.body_start = requests_.without_keys(answer.body_start);
  std::string text = answer_text(shown);
  if (text.ends_with('.')) text.pop_back();
  if (answer.status == 401 || answer.status == 403 || blames_keys(answer)) {
    text += requests_.advice_on_keys(url);
  }
  const auto region = answer.headers.find("x-amz-bucket-region");
  if (answer.status >= 300 && answer.status < 400 && region != answer.headers.end()) {
    text += fmt::format(": the bucket is in region {} (data.store.region)", region->second);
  }
  // Whoever gives out keys for a time may be about to replace those that have run out.
  const bool keys_may_come = blames_keys(answer) && requests_.has_accepted_keys();
  const Failure failure = may_pass(answer) || keys_may_come ? Failure::kMayPass
                          : says_absent(answer)             ? Failure::kAbsent
                                                            : Failure::kRefused;
  return {failure, std::move(text), answer};
}

void Fetcher::try_until_done(FetchTries& tries, const Places& places, const std::string& name,
                             const Try& attempt) {
  for (;;) {
    if (stopped_()) throw FetchStopped();
    const std::optional<Problem> problem = attempt(places[tries.place()].below(name), tries);
    if (!problem) return;
    pause(tries.failed(problem->failure, problem->text, problem->answer, now_seconds()));
  }
}

std::optional<Fetcher::Problem> Fetcher::fetch_once(const StoreUrl& url, const DatasetFile& file,
                                                    FetchTarget& target, FetchTries& tries) {
  const std::string address = requests_.address(url);
  HttpHeaders headers;
  if (target.size() > 0 || file.head_of > 0) {
    headers["range"] = fmt::format("bytes={}-{}", target.size(), file.bytes - 1);
  }
  if (target.size() > 0 && is_strong_etag(etag_) && etag_of_ == address) {
    headers["if-range"] = etag_;
  }
  BodySink sink(file, target);
  const bool goes_on = target.size() > 0;
  try {
    const HttpAnswer answer = send(url, headers, [&](const HttpAnswer& so_far, auto piece) {
      sink.take(so_far, piece);
      const auto etag = so_far.headers.find("etag");
      etag_ = etag == so_far.headers.end() ? "" : etag->second;
      etag_of_ = address;
      tries.reached(target.size(), now_seconds());
    });
    if (answer.status == 416) target.restart();
    check_told_size(answer, file);
    if (!is_good(answer)) return problem_of(url, answer);
    if (target.size() < file.bytes) {  // what came is kept, the rest asked for
      return Problem{Failure::kMayPass,
                     fmt::format("{} that ends after {} of {} bytes", answer.status, target.size(),
                                 file.bytes),
                     answer};
    }
  } catch (const SeenEnough&) {
    // The head of the file; its hash decides.
  } catch (const WrongBody& wrong) {
    target.restart();
    return Problem{Failure::kWrongBytes, wrong.text, {}};
  }
  const uint64_t hash = target.xxh3();
  if (hash == file.xxh3) return std::nullopt;
  target.restart();
  // What came before this try may be another place's fault: then it is asked for whole.
  return Problem{goes_on ? Failure::kMayPass : Failure::kWrongBytes,
                 fmt::format("XXH3: expected {} as {} says, found {} in {} bytes",
                             hash_text(file.xxh3), kManifestName, hash_text(hash), file.bytes),
                 {}};
}

int Fetcher::fetch(const Places& places, const DatasetFile& file, FetchTarget& target,
                   double waited) {
  FetchTries tries = tries_for(places, file.name, waited, Absence::kAllSay);
  try_until_done(tries, places, file.name, [&](const StoreUrl& url, FetchTries& seen) {
    return fetch_once(url, file, target, seen);
  });
  return tries.num_failures();
}

FetchedText Fetcher::text(const Places& places, const std::string& name, int64_t max_bytes) {
  std::string body;
  FetchTries tries = tries_for(places, name, 0, Absence::kOneSays);
  const auto attempt = [&](const StoreUrl& url, FetchTries&) -> std::optional<Problem> {
    body.clear();
    try {
      const HttpAnswer answer = send(url, {}, [&](const HttpAnswer&, auto piece) {
        if (static_cast<int64_t>(body.size() + piece.size()) > max_bytes) {
          throw WrongBody{fmt::format("expected at most {} bytes, found more", max_bytes)};
        }
        body.append(reinterpret_cast<const char*>(piece.data()), piece.size());
      });
      if (is_good(answer)) return std::nullopt;
      return problem_of(url, answer);
    } catch (const WrongBody& wrong) {
      return Problem{Failure::kRefused, wrong.text, {}};
    }
  };
  try {
    try_until_done(tries, places, name, attempt);
  } catch (const StoreError& error) {
    if (tries.absent()) return {std::nullopt, error.what()};
    throw;
  }
  return {std::move(body), ""};
}

void Fetcher::check(const Places& places, const DatasetFile& file) {
  if (file.bytes == 0) return;
  FetchTries tries = tries_for(places, file.name, 0, Absence::kAllSay);
  const auto attempt = [&](const StoreUrl& url, FetchTries&) -> std::optional<Problem> {
    HttpAnswer seen;
    try {
      // One byte: an answer to HEAD would bring no body that says what is wrong.
      seen = send(url, {{"range", "bytes=0-0"}}, [&](const HttpAnswer& so_far, auto) {
        seen = so_far;
        throw SeenEnough();
      });
    } catch (const SeenEnough&) {
      seen.end = HttpEnd::kWhole;
    }
    try {
      check_told_size(seen, file);
    } catch (const WrongBody& wrong) {
      return Problem{Failure::kWrongBytes, wrong.text, {}};
    }
    if (!is_good(seen)) return problem_of(url, seen);
    return std::nullopt;
  };
  try_until_done(tries, places, file.name, attempt);
}

}  // namespace phalanx
