#pragma once
// `phalanx score MODEL --jsonl`: token ids on standard input, log-probabilities on standard output,
// line by line. Local, one process. Errors name the line; those of model and streams as they are.
#include <CLI/App.hpp>
#include <iosfwd>

namespace phalanx {

class Scorer;

void add_score_command(CLI::App& app);

/// Answers each line at once, so that a script may keep the program open and ask on.
void score_lines(const Scorer& scorer, std::istream& in, std::ostream& out);

}  // namespace phalanx
