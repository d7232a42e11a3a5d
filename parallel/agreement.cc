#include "parallel/agreement.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "parallel/rank_list.h"

namespace phalanx {
namespace {

constexpr char kFine = '+';
constexpr char kFailed = '-';

// What a rank tells the others: "+", or "-<code> <message>".
std::string outcome_of(const std::function<void()>& step) {
  try {
    step();
    return std::string(1, kFine);
  } catch (const std::exception& error) {
    return fmt::format("{}{} {}", kFailed, static_cast<int>(exit_code_of(error)),
                       error_text(error));
  } catch (...) {
    return fmt::format("{}{} an exception of unknown type", kFailed,
                       static_cast<int>(ExitCode::kBug));
  }
}

struct Complaint {
  std::string message;
  std::vector<int> ranks;
};

}  // namespace

void run_together(Communicator& control, const std::function<void()>& step) {
  const std::vector<std::string> outcomes = all_gather_strings(control, outcome_of(step));
  std::vector<Complaint> complaints;
  ExitCode code = ExitCode::kDone;
  for (int rank = 0; rank < control.size(); ++rank) {
    const std::string& outcome = outcomes[rank];
    if (outcome[0] == kFine) continue;
    const size_t space = outcome.find(' ');
    const std::string message = outcome.substr(space + 1);
    if (complaints.empty()) code = static_cast<ExitCode>(std::stoi(outcome.substr(1, space - 1)));
    auto known = std::find_if(complaints.begin(), complaints.end(),
                              [&](const Complaint& one) { return one.message == message; });
    if (known == complaints.end()) known = complaints.insert(known, Complaint{message, {}});
    known->ranks.push_back(rank);
  }
  if (complaints.empty()) return;

  std::string text;
  for (const Complaint& complaint : complaints) {
    if (!text.empty()) text += '\n';
    text += complaint.message;
    if (static_cast<int>(complaint.ranks.size()) < control.size()) {
      text += fmt::format(" (on {})", ranks_text(complaint.ranks));
    }
  }
  throw AgreedError(code, text);
}

}  // namespace phalanx
