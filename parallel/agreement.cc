#include "parallel/agreement.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <vector>

#include "parallel/host_name.h"
#include "parallel/rank_list.h"

namespace phalanx {
namespace {

constexpr char kFine = '+';
constexpr char kFailed = '-';

// What a rank tells the others: "+ <host>", or "-<code> <host> <message>".
std::string outcome_of(const std::function<void()>& step) {
  try {
    step();
    return fmt::format("{} {}", kFine, host_name());
  } catch (const std::exception& error) {
    return fmt::format("{}{} {} {}", kFailed, static_cast<int>(exit_code_of(error)), host_name(),
                       error_text(error));
  } catch (...) {
    return fmt::format("{}{} {} an exception of unknown type", kFailed,
                       static_cast<int>(ExitCode::kBug), host_name());
  }
}

struct Complaint {
  std::string message;
  std::vector<int> ranks;
  std::vector<std::string> hosts;
};

/// Outcomes are of words; a message may hold any number of them.
std::string take_word(std::string& outcome) {
  const size_t space = outcome.find(' ');
  std::string word = outcome.substr(0, space);
  outcome.erase(0, space == std::string::npos ? space : space + 1);
  return word;
}

/// " (on ranks 2-3, host b)": where not all ranks say so, and the host where there are several.
std::string place_text(const Complaint& complaint, int num_ranks, size_t num_hosts) {
  if (static_cast<int>(complaint.ranks.size()) == num_ranks) return "";
  std::string text = " (on " + ranks_text(complaint.ranks);
  if (num_hosts > 1) {
    text += complaint.hosts.size() == 1 ? ", host" : ", hosts";
    for (const std::string& host : complaint.hosts) text += " " + host;
  }
  return text + ")";
}

}  // namespace

void run_together(Communicator& control, const std::function<void()>& step) {
  const std::vector<std::string> outcomes = all_gather_strings(control, outcome_of(step));
  std::vector<Complaint> complaints;
  ExitCode code = ExitCode::kDone;
  std::set<std::string> hosts;
  for (int rank = 0; rank < control.size(); ++rank) {
    std::string message = outcomes[rank];
    const std::string verdict = take_word(message), host = take_word(message);
    hosts.insert(host);
    if (verdict[0] == kFine) continue;
    if (complaints.empty()) code = static_cast<ExitCode>(std::stoi(verdict.substr(1)));
    auto known = std::find_if(complaints.begin(), complaints.end(),
                              [&](const Complaint& one) { return one.message == message; });
    if (known == complaints.end()) known = complaints.insert(known, Complaint{message, {}, {}});
    known->ranks.push_back(rank);
    const auto& named = known->hosts;
    if (std::find(named.begin(), named.end(), host) == named.end()) known->hosts.push_back(host);
  }
  if (complaints.empty()) return;

  std::string text;
  for (const Complaint& complaint : complaints) {
    if (!text.empty()) text += '\n';
    text += complaint.message + place_text(complaint, control.size(), hosts.size());
  }
  throw AgreedError(code, text);
}

}  // namespace phalanx
