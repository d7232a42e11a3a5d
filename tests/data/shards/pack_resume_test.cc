// Packing in pieces: the same bytes for any number of threads, processes and attempts, and whatever
// the memory.
#include <stdexcept>

#include "data/shards/dataset_verify.h"
#include "tests/data/shards/pack_sample.h"

namespace phalanx {
namespace {

namespace fs = std::filesystem;

class PackInPieces : public Pack {
 protected:
  PackInPieces() {
    for (int file = 0; file < 9; ++file) {
      std::string lines;
      for (int i = 0; i < 40 + file; ++i) {
        lines += "{\"text\": \"" +
                 std::string(1 + (i * 37 + file) % 90, static_cast<char>('a' + file)) +
                 std::to_string(i) + "\"}\n";
      }
      spill(scratch_ / ("in/more" + std::to_string(file) + ".jsonl"), lines);
    }
    options_.unit_bytes = 5000;
    options_.shard_tokens = 3000;
    options_.memory_bytes = int64_t{5} << 20;
  }

  using Tree = std::map<std::string, std::string>;

  const Tree& expected() {
    if (expected_.empty()) {
      pack("expected");
      expected_ = bytes_of_tree(scratch_ / "expected");
      EXPECT_GT(expected_.size(), 30u) << "too few shards: the test is blind";
    }
    return expected_;
  }

  void expect_same(const std::string& output) {
    EXPECT_EQ(bytes_of_tree(scratch_ / output), expected()) << output;
    EXPECT_FALSE(fs::exists(scratch_ / (output + ".tmp")));
  }

  PackJob job(const std::string& output) {
    options_.output = scratch_ / output;
    return PackJob(options_, byte_tokenizer(), {});
  }

  /// What one member of a job array does; true when it finished the data set.
  bool member(const std::string& output, const JobShare& share) {
    PackJob mine = job(output);
    mine.encode_units(share);
    if (mine.units_left() > 0) return false;
    mine.plan_shards();
    mine.write_shards(share);
    if (mine.shards_left() > 0) return false;
    mine.finish();
    return true;
  }

  Tree expected_;
};

TEST_F(PackInPieces, GivesTheSameBytesWithAnyNumberOfThreads) {
  for (const int threads : {2, 4, 5}) {
    options_.num_threads = threads;
    pack("threads" + std::to_string(threads));
    options_.num_threads = 1;
    expect_same("threads" + std::to_string(threads));
  }
}

TEST_F(PackInPieces, GivesTheSameBytesInUnitsOfAnySize) {
  Tree tree = expected();
  tree.erase("pack.json");  // which names the size
  for (const int64_t bytes : {1, 20000, 0}) {
    options_.unit_bytes = bytes;
    const std::string output = "units" + std::to_string(bytes);
    pack(output);
    Tree found = bytes_of_tree(scratch_ / output);
    found.erase("pack.json");
    EXPECT_EQ(found, tree) << bytes;
  }
}

TEST_F(PackInPieces, GivesTheSameBytesFromAnyNumberOfMembersInAnyOrder) {
  for (const int64_t size : {2, 3, 5}) {
    const std::string output = "members" + std::to_string(size);
    bool done = false;
    int rounds = 0;
    for (; !done && rounds < 4; ++rounds) {
      for (int64_t i = size; i-- > 0 && !done;) done = member(output, {i, size});
    }
    EXPECT_TRUE(done);
    EXPECT_EQ(rounds, 2);  // the last one to encode plans, and writes its shards at once
    expect_same(output);
    EXPECT_TRUE(member(output, {0, size})) << "one that comes late finds it done";
    expect_same(output);
  }
}

TEST_F(PackInPieces, AnotherNumberOfMembersMayGoOn) {
  job("out").encode_units({1, 3});
  {
    PackJob second = job("out");
    second.encode_units({0, 2});
    EXPECT_GT(second.units_left(), 0);
  }
  pack("out");
  expect_same("out");
}

TEST_F(PackInPieces, FinishedUnitsAndShardsAreNotDoneAgain) {
  {
    PackJob first = job("out");
    first.encode_units({1, 2});
  }
  const fs::path folder = scratch_ / "out.tmp";
  const Tree units = bytes_of_tree(folder / "units");
  ASSERT_GT(units.size(), 2u);
  const auto times = [&] {
    std::map<std::string, fs::file_time_type> found;
    for (const auto& [name, bytes] : units)
      found[name] = fs::last_write_time(folder / "units" / name);
    return found;
  };
  const auto before = times();
  {
    PackJob second = job("out");
    second.encode_units({});
    EXPECT_EQ(second.units_left(), 0);
    second.plan_shards();
    second.write_shards({0, 2});
  }
  EXPECT_EQ(times(), before);
  const auto shard_time = fs::last_write_time(folder / "train/shard-00000.bin");
  pack("out");
  EXPECT_EQ(fs::last_write_time(scratch_ / "out/train/shard-00000.bin"), shard_time);
  expect_same("out");
}

TEST_F(PackInPieces, AUnitInOtherHandsIsLeftAlone) {
  PackJob mine = job("out");
  {
    const FileLock other = FileLock::exclude(scratch_ / "out.tmp/locks/unit-000000");
    mine.encode_units({});
    EXPECT_EQ(mine.units_left(), 1);
    EXPECT_FALSE(fs::exists(scratch_ / "out.tmp/units/000000"));
  }
  mine.encode_units({});
  EXPECT_EQ(mine.units_left(), 0);
}

TEST_F(PackInPieces, AFailureLeavesWhatWasDoneAndTheNextAttemptGoesOn) {
  for (const int after : {1, 60, 300, 600}) {
    const std::string output = "out" + std::to_string(after);
    options_.output = scratch_ / output;
    PackTokenizer tokenizer = byte_tokenizer();
    const auto count = std::make_shared<int>(0);
    tokenizer.make_encoder = [=, make = byte_tokenizer().make_encoder] {
      return [=, encode = make()](std::string_view text) {
        if (++*count == after) throw std::runtime_error("the machine failed");
        return encode(text);
      };
    };
    EXPECT_EQ(message_of<std::runtime_error>([&] { pack_dataset(options_, tokenizer, {}); }),
              "the machine failed");
    EXPECT_FALSE(fs::exists(scratch_ / output));
    pack(output);
    expect_same(output);
  }
}

TEST_F(PackInPieces, AnAttemptThatEndedInTheLastStepsIsFinished) {
  expected();
  // As a kill leaves it between the first removal of work and the last rename.
  fs::copy(scratch_ / "expected", scratch_ / "out.tmp", fs::copy_options::recursive);
  spill(scratch_ / "out.tmp/units/000001/half-removed", "");
  spill(scratch_ / "out.tmp/pack.lock", "");
  pack("out");
  expect_same("out");
}

TEST_F(PackInPieces, WhatWasPackedButForTheLastRenameNeverGivesWayToAnotherJob) {
  expected();
  fs::copy(scratch_ / "expected", scratch_ / "out.tmp", fs::copy_options::recursive);
  spill(scratch_ / "out.tmp/pack.lock", "");
  const auto before = bytes_of_tree(scratch_ / "out.tmp");
  ++options_.seed;
  EXPECT_THROW(pack("out"), std::invalid_argument);
  EXPECT_EQ(bytes_of_tree(scratch_ / "out.tmp"), before);
  --options_.seed;
  pack("out");
  expect_same("out");
}

TEST_F(PackInPieces, AnAttemptThatPackedNothingGivesWayToAnother) {
  options_.text_field = "content";
  EXPECT_THROW(pack("first"), std::invalid_argument);
  EXPECT_TRUE(std::filesystem::exists(scratch_ / "first.tmp/pack.json"));
  options_.text_field = "text";
  pack("first");
  pack("other");
  EXPECT_EQ(bytes_of_tree(scratch_ / "first"), bytes_of_tree(scratch_ / "other"));
}

TEST_F(PackInPieces, AnotherJobIsRefusedAndSaysWhatDiffers) {
  job("out").encode_units({0, 2});
  const auto refusal = [&] { return message_of<std::invalid_argument>([&] { (void)job("out"); }); };
  const std::string folder = (scratch_ / "out.tmp").string();
  const std::string end =
      ": repeat that command to go on with it, or remove the folder to start anew";
  options_.seed = 8;
  EXPECT_EQ(refusal(), folder + ": seed: expected 7, as the packing there began, found 8" + end);
  options_.seed = 7;
  options_.text_field = "body";
  EXPECT_EQ(
      refusal(),
      folder + ": text_field: expected \"text\", as the packing there began, found \"body\"" + end);
  options_.text_field = "text";
  spill(scratch_ / "in/new.txt", "one more");
  const std::string more = refusal();
  EXPECT_EQ(more,
            folder + ": inputs: expected 11 files, as the packing there began, found 12" + end);
  options_.memory_bytes *= 2;  // which may differ
  options_.max_bad_lines = 5;
  options_.num_threads = 2;
  EXPECT_EQ(refusal(), more);
  fs::rename(scratch_ / "in/b.txt", scratch_ / "in/bb.txt");
  fs::remove(scratch_ / "in/new.txt");
  EXPECT_EQ(refusal(), folder + ": inputs[1]: expected " + (scratch_ / "in/b.txt").string() +
                           ", as the packing there began, found " +
                           (scratch_ / "in/bb.txt").string() + end);
}

TEST_F(PackInPieces, AFileMayChangeUntilItsUnitIsDone) {
  const std::string good = slurp(scratch_ / "in/more3.jsonl");
  spill(scratch_ / "in/more3.jsonl", good +
                                         "no JSON, and so much longer that units would be "
                                         "cut elsewhere" +
                                         std::string(9000, '.') + "\n");
  EXPECT_NE(message_of<std::invalid_argument>([&] { pack("out"); }).find("more3.jsonl:44: "),
            std::string::npos);
  const std::string plan = slurp(scratch_ / "out.tmp/pack.json");
  const auto units = PackWork(scratch_ / "out").units_done();
  EXPECT_GT(units, 1);
  spill(scratch_ / "in/more3.jsonl", good);
  options_.output = scratch_ / "out";
  const PackResult result = pack("out");
  EXPECT_EQ(result.train.packing.rejected_bad, 0);
  int64_t bytes = 0;
  for (const auto& [name, content] : bytes_of_tree(scratch_ / "in")) {
    bytes += static_cast<int64_t>(content.size());
  }
  EXPECT_EQ(result.train.packing.inputs[0].bytes, bytes);
  Tree found = bytes_of_tree(scratch_ / "out"), same = expected();
  EXPECT_NE(found["pack.json"], plan);
  EXPECT_TRUE(PackJob(options_, byte_tokenizer(), {}).was_complete());
  found.erase("pack.json");  // which says how units were cut
  same.erase("pack.json");
  EXPECT_EQ(found, same);
}

TEST_F(PackInPieces, AFileThatChangedAfterItsUnitWasDoneIsRefused) {
  job("out").encode_units({0, 2});
  const std::string first = slurp(scratch_ / "in/a.jsonl");
  spill(scratch_ / "in/a.jsonl", first + "{\"text\": \"more\"}\n");
  const auto refusal = [&] { return message_of<std::invalid_argument>([&] { (void)job("out"); }); };
  const std::string unit = (scratch_ / "out.tmp/units/000000").string();
  const std::string start = (scratch_ / "in/a.jsonl").string() + ": expected ";
  std::string message = refusal();
  EXPECT_EQ(message.rfind(start + std::to_string(first.size()) + " bytes, modified at ", 0), 0u)
      << message;
  EXPECT_TRUE(
      message.ends_with(": put that file back, or remove " + unit + ", which is then packed again"))
      << message;
  fs::remove_all(unit);
  {
    PackJob mine = job("out");
    mine.encode_units({});
    mine.plan_shards();
  }
  EXPECT_EQ(job("out").units_left(), 0) << "as it was packed, not as it was when the job began";
  spill(scratch_ / "in/a.jsonl", first);
  message = refusal();
  EXPECT_TRUE(message.ends_with(": put that file back, or remove " +
                                (scratch_ / "out.tmp").string() + " to start anew"))
      << message;
}

TEST_F(PackInPieces, AFolderOfOthersIsNotTouched) {
  spill(scratch_ / "out.tmp/mine", "precious");
  EXPECT_EQ(message_of<std::invalid_argument>([&] { pack("out"); }),
            (scratch_ / "out.tmp").string() +
                ": expected an unfinished packing (pack.json) or nothing, found mine: remove the "
                "folder or choose another output");
  EXPECT_EQ(slurp(scratch_ / "out.tmp/mine"), "precious");
}

TEST_F(PackInPieces, ChangedRunsAreNoticed) {
  {
    PackJob first = job("out");
    first.encode_units({});
    first.plan_shards();
  }
  const fs::path run = scratch_ / "out.tmp/units/000000/run-0000";
  const std::string bytes = slurp(run);
  spill(run, bytes.substr(0, bytes.size() - 2));
  EXPECT_EQ(message_of<std::invalid_argument>([&] {
              pack("out");
            }).rfind(run.string() + ": expected a sorted run of ", 0),
            0u);
  spill(run, bytes);
  pack("out");
  expect_same("out");
}

TEST_F(PackInPieces, GivesTheSameBytesInLittleMemory) {
  options_.unit_bytes = 0;
  std::string lines;
  for (int i = 0; i < 60000; ++i) {
    lines += "{\"text\": \"" + std::to_string(i * 7919) + std::string(i * 31 % 400, 'x') + "\"}\n";
  }
  spill(scratch_ / "in/large.jsonl", lines);
  options_.shard_tokens = 4000000;
  pack("ample");
  options_.memory_bytes = int64_t{1} << 20;
  pack("little");
  EXPECT_EQ(bytes_of_tree(scratch_ / "ample"), bytes_of_tree(scratch_ / "little"));
  options_.num_threads = 3;
  options_.memory_bytes *= 3;
  pack("threads");
  EXPECT_EQ(bytes_of_tree(scratch_ / "ample"), bytes_of_tree(scratch_ / "threads"));
  {  // the little memory did make many runs
    PackJob again = job("out");
    again.encode_units({});
    const auto units = PackWork(scratch_ / "out").unit_records(1);
    EXPECT_GT(units[0].runs.size(), 20u);
  }
}

}  // namespace
}  // namespace phalanx
