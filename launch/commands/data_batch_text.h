#pragma once
// What `data batch` prints of a step: text for people, one JSON object for scripts, or the decoded
// text of the rows. Pure: each function gives text, and keeps nothing. README.md lists the fields.
#include <string>

#include "data/tokenizer/tokenizer.h"
#include "trainer/step_rows.h"

namespace phalanx {

/// Which replica and micro-batch reads a row; of the whole step when dp_size is 0.
struct ReplicaView {
  int64_t dp_size = 0;
  int64_t micro_batch_size = 1;
};

struct StepHead {
  int64_t step = 0;  // counted from 1, as in metrics.jsonl
  int64_t num_steps = 0;
  bool skipped = false;
};

std::string head_text(const StepHead& head, const StepRows& rows);
/// The names over row_text().
std::string columns_text();
std::string row_text(const StepRow& row, const StepRows& rows, const ReplicaView& view);

/// The text of a row: each line of it behind "| ", control characters and broken UTF-8 as escapes,
/// a line for each document.
std::string decoded_text(const StepRow& row, const StepRows& rows, const Tokenizer& tokenizer);

/// `{"step": ..., "rows": [` and what closes it; between them the rows, with commas.
std::string head_json(const StepHead& head, const StepRows& rows);
std::string row_json(const StepRow& row, const StepRows& rows, const ReplicaView& view);
std::string tail_json();

}  // namespace phalanx
