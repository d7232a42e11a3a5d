#include "tests/parallel/communicator_suite.h"

#include <cmath>
#include <limits>

#include "parallel/row_sums.h"

namespace phalanx {
namespace {

const std::vector<at::ScalarType> kSummed = {at::kFloat, at::kDouble, at::kBFloat16, at::kInt,
                                             at::kLong};

// Values of very different magnitude, so that another order of summation gives other bits.
double value_of(int rank, int64_t element) {
  const uint64_t hash = (static_cast<uint64_t>(rank) * 1000003 + static_cast<uint64_t>(element)) *
                        0x9E3779B97F4A7C15ull;
  const double unit = static_cast<double>(hash >> 40) / (1 << 24) - 0.5;
  return std::ldexp(unit, static_cast<int>(hash >> 8 & 15) - 4);
}

at::Tensor values_of(int rank, int64_t begin, int64_t count, at::ScalarType dtype) {
  const at::Tensor values_N = at::empty({count}, at::kDouble);
  double* values = values_N.mutable_data_ptr<double>();
  const double scale = at::isIntegralType(dtype, false) ? 1000 : 1;
  for (int64_t i = 0; i < count; ++i) values[i] = value_of(rank, begin + i) * scale;
  return values_N.to(dtype);
}

// One term at a time in rank order: fp32 for bf16, rounded once.
at::Tensor serial_sum(int size, int64_t begin, int64_t count, at::ScalarType dtype) {
  const at::ScalarType wide = dtype == at::kBFloat16 ? at::kFloat : dtype;
  at::Tensor total_N = values_of(0, begin, count, dtype).to(wide);
  for (int rank = 1; rank < size; ++rank) {
    total_N = at::add(total_N, values_of(rank, begin, count, dtype).to(wide));
  }
  return total_N.to(dtype);
}

at::Tensor serial_max(int size, int64_t count, at::ScalarType dtype) {
  at::Tensor largest_N = values_of(0, 0, count, dtype);
  for (int rank = 1; rank < size; ++rank) {
    largest_N = at::maximum(largest_N, values_of(rank, 0, count, dtype));
  }
  return largest_N;
}

std::string where(const Communicator& world, const std::string& what, at::ScalarType dtype,
                  int64_t count) {
  return what + " of " + std::to_string(count) + " " + c10::toString(dtype) + " on rank " +
         std::to_string(world.rank()) + " of " + std::to_string(world.size());
}

void expect_equal(const at::Tensor& found, const at::Tensor& expected, const std::string& what) {
  EXPECT_TRUE(at::equal(found.cpu(), expected)) << what;
}

// Nothing, one element, odd lengths, and one element around the edges of chunks and of small
// messages.
std::vector<int64_t> lengths(const Ranks& ranks, at::ScalarType dtype, int size) {
  const int64_t chunk = ranks.chunk_bytes / static_cast<int64_t>(c10::elementSize(dtype));
  return {0, 1, 7, 33, chunk / size + 1, chunk - 1, chunk, chunk + 1, 3 * chunk + 5, 40'001};
}

TEST_P(CommunicatorSuite, all_reduce_sums_in_rank_order_bit_for_bit) {
  GetParam().run([&](Communicator& world) {
    for (const at::ScalarType dtype : kSummed) {
      for (const int64_t count : lengths(GetParam(), dtype, world.size())) {
        const at::Tensor tensor_N = values_of(world.rank(), 0, count, dtype).to(GetParam().device);
        world.all_reduce(tensor_N, ReduceOp::kSum, SumOrder::kRankOrder)->wait();
        expect_equal(tensor_N, serial_sum(world.size(), 0, count, dtype),
                     where(world, "all_reduce", dtype, count));
      }
    }
  });
}

TEST_P(CommunicatorSuite, all_reduce_takes_the_maximum) {
  GetParam().run([&](Communicator& world) {
    for (const at::ScalarType dtype : kSummed) {
      for (const int64_t count : lengths(GetParam(), dtype, world.size())) {
        const at::Tensor tensor_N = values_of(world.rank(), 0, count, dtype).to(GetParam().device);
        world.all_reduce(tensor_N, ReduceOp::kMax)->wait();
        expect_equal(tensor_N, serial_max(world.size(), count, dtype),
                     where(world, "maximum", dtype, count));
      }
    }
  });
}

TEST_P(CommunicatorSuite, sums_in_any_order_are_close) {
  GetParam().run([&](Communicator& world) {
    const at::Tensor tensor_N = values_of(world.rank(), 0, 5003, at::kFloat).to(GetParam().device);
    world.all_reduce(tensor_N, ReduceOp::kSum)->wait();
    EXPECT_TRUE(
        at::allclose(tensor_N.cpu(), serial_sum(world.size(), 0, 5003, at::kFloat), 1e-5, 1e-4));
  });
}

TEST_P(CommunicatorSuite, reduce_scatter_gives_each_rank_its_piece_of_the_sum) {
  GetParam().run([&](Communicator& world) {
    for (const at::ScalarType dtype : kSummed) {
      for (const int64_t count : lengths(GetParam(), dtype, world.size())) {
        const at::Tensor input_RN =
            values_of(world.rank(), 0, count * world.size(), dtype).to(GetParam().device);
        const at::Tensor output_N = at::empty({count}, input_RN.options());
        world.reduce_scatter(output_N, input_RN, SumOrder::kRankOrder)->wait();
        expect_equal(output_N, serial_sum(world.size(), world.rank() * count, count, dtype),
                     where(world, "reduce_scatter", dtype, count));
      }
    }
  });
}

TEST_P(CommunicatorSuite, reduce_scatter_sums_by_a_tree_where_it_is_asked_to) {
  GetParam().run([&](Communicator& world) {
    for (const int64_t count : lengths(GetParam(), at::kFloat, world.size())) {
      const int64_t all = count * world.size();
      std::vector<at::Tensor> rows;
      for (int rank = 0; rank < world.size(); ++rank) {
        rows.push_back(values_of(rank, 0, all, at::kFloat));
      }
      const at::Tensor expected_N = sum_rows(at::stack(rows), SumOrder::kTreeOrder);
      const at::Tensor input_RN = rows[world.rank()].to(GetParam().device);
      const at::Tensor output_N = at::empty({count}, input_RN.options());
      world.reduce_scatter(output_N, input_RN, SumOrder::kTreeOrder)->wait();
      expect_equal(output_N, expected_N.narrow(0, world.rank() * count, count),
                   where(world, "reduce_scatter by a tree", at::kFloat, count));
    }
  });
}

TEST_P(CommunicatorSuite, sums_larger_than_any_buffer_keep_their_bits) {
  GetParam().run([&](Communicator& world) {
    const int64_t count = GetParam().largest_count;
    const at::Tensor tensor_N = values_of(world.rank(), 0, count, at::kFloat).to(GetParam().device);
    const at::Tensor expected_N = serial_sum(world.size(), 0, count, at::kFloat);
    world.all_reduce(tensor_N, ReduceOp::kSum, SumOrder::kRankOrder)->wait();
    expect_equal(tensor_N, expected_N, where(world, "all_reduce", at::kFloat, count));

    const int64_t piece = count / world.size();
    const at::Tensor input_RN =
        values_of(world.rank(), 0, piece * world.size(), at::kFloat).to(GetParam().device);
    const at::Tensor output_N = at::empty({piece}, input_RN.options());
    world.reduce_scatter(output_N, input_RN, SumOrder::kRankOrder)->wait();
    expect_equal(output_N, expected_N.narrow(0, world.rank() * piece, piece),
                 where(world, "reduce_scatter", at::kFloat, count));
  });
}

TEST_P(CommunicatorSuite, reduce_scatter_may_write_into_its_own_piece) {
  GetParam().run([&](Communicator& world) {
    const int64_t count = 4099;
    const at::Tensor input_RN =
        values_of(world.rank(), 0, count * world.size(), at::kFloat).to(GetParam().device);
    const at::Tensor output_N = input_RN.narrow(0, world.rank() * count, count);
    world.reduce_scatter(output_N, input_RN, SumOrder::kRankOrder)->wait();
    expect_equal(output_N, serial_sum(world.size(), world.rank() * count, count, at::kFloat),
                 where(world, "reduce_scatter in place", at::kFloat, count));
  });
}

TEST_P(CommunicatorSuite, all_gather_lines_up_the_ranks) {
  GetParam().run([&](Communicator& world) {
    for (const at::ScalarType dtype : {at::kByte, at::kBFloat16, at::kFloat, at::kLong}) {
      for (const int64_t count : lengths(GetParam(), dtype, world.size())) {
        const auto piece = [&](int rank) { return values_of(rank, 0, count, at::kInt).to(dtype); };
        std::vector<at::Tensor> expected;
        for (int rank = 0; rank < world.size(); ++rank) expected.push_back(piece(rank));
        const at::Tensor input_N = piece(world.rank()).to(GetParam().device);
        const at::Tensor output_RN = at::empty({world.size() * count}, input_N.options());
        world.all_gather(output_RN, input_N)->wait();
        expect_equal(output_RN, at::cat(expected), where(world, "all_gather", dtype, count));
        // In place: the input is this rank's piece of the output.
        const at::Tensor whole_RN = at::zeros_like(output_RN);
        const at::Tensor mine_N = whole_RN.narrow(0, world.rank() * count, count);
        mine_N.copy_(input_N);
        world.all_gather(whole_RN, mine_N)->wait();
        expect_equal(whole_RN, at::cat(expected),
                     where(world, "all_gather in place", dtype, count));
      }
    }
  });
}

TEST_P(CommunicatorSuite, all_to_all_transposes_pieces_and_ranks) {
  GetParam().run([&](Communicator& world) {
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kByte}) {
      for (const int64_t count : lengths(GetParam(), dtype, world.size())) {
        const auto piece = [&](int from, int to) {
          return values_of(from, to * count, count, at::kInt).to(dtype);
        };
        std::vector<at::Tensor> sent, expected;
        for (int peer = 0; peer < world.size(); ++peer) {
          sent.push_back(piece(world.rank(), peer));
          expected.push_back(piece(peer, world.rank()));
        }
        const at::Tensor input_RN = at::cat(sent).to(GetParam().device);
        const at::Tensor output_RN = at::empty_like(input_RN);
        world.all_to_all(output_RN, input_RN)->wait();
        expect_equal(output_RN, at::cat(expected), where(world, "all_to_all", dtype, count));
      }
    }
  });
}

TEST_P(CommunicatorSuite, broadcast_copies_from_every_root) {
  GetParam().run([&](Communicator& world) {
    for (int root = 0; root < world.size(); ++root) {
      for (const int64_t count : lengths(GetParam(), at::kDouble, world.size())) {
        const at::Tensor tensor_N =
            values_of(world.rank(), root, count, at::kDouble).to(GetParam().device);
        world.broadcast(tensor_N, root)->wait();
        expect_equal(tensor_N, values_of(root, root, count, at::kDouble),
                     where(world, "broadcast", at::kDouble, count));
      }
    }
  });
}

TEST_P(CommunicatorSuite, many_small_collectives_in_a_row_do_not_mix) {
  GetParam().run([&](Communicator& world) {
    const int ranks_sum = world.size() * (world.size() - 1) / 2;
    for (int round = 0; round < 500; ++round) {
      const at::Tensor sum_1 = at::full({1}, world.rank() + round, at::kLong).to(GetParam().device);
      world.all_reduce(sum_1, ReduceOp::kSum)->wait();
      ASSERT_EQ(sum_1.item<int64_t>(), ranks_sum + int64_t{round} * world.size());
      if (round % 7 == 0) world.barrier();
      const at::Tensor token_1 =
          at::full({1}, world.rank() * 1000 + round, at::kLong).to(GetParam().device);
      const int root = round % world.size();
      world.broadcast(token_1, root)->wait();
      ASSERT_EQ(token_1.item<int64_t>(), root * 1000 + round);
    }
  });
}

TEST_P(CommunicatorSuite, split_forms_groups_by_color_ordered_by_key) {
  GetParam().run([&](Communicator& world) {
    const int color = world.rank() % 2;
    const std::unique_ptr<Communicator> group = world.split(color, -world.rank(), "halves");
    EXPECT_EQ(group->name(), "halves");
    std::vector<int> members;  // highest rank first, because keys are negated
    for (int rank = world.size() - 1; rank >= 0; --rank) {
      if (rank % 2 == color) members.push_back(rank);
    }
    ASSERT_EQ(group->size(), static_cast<int>(members.size()));
    EXPECT_EQ(members[group->rank()], world.rank());
    const at::Tensor mine_1 = at::full({1}, world.rank(), at::kInt).to(GetParam().device);
    const at::Tensor all_R = at::empty({group->size()}, mine_1.options());
    group->all_gather(all_R, mine_1)->wait();
    expect_equal(all_R, at::tensor(members, at::kInt), "members of a split");
  });
}

TEST_P(CommunicatorSuite, split_with_equal_keys_keeps_the_order_and_groups_work_side_by_side) {
  GetParam().run([&](Communicator& world) {
    const std::unique_ptr<Communicator> all = world.split(0, 0, "all");
    const std::unique_ptr<Communicator> alone = world.split(world.rank(), 0, "alone");
    const std::unique_ptr<Communicator> again = all->split(0, 0, "again");
    EXPECT_EQ(all->rank(), world.rank());
    EXPECT_EQ(alone->size(), 1);
    EXPECT_EQ(again->size(), world.size());
    const at::Tensor ones_N = at::ones({300}, at::kFloat).to(GetParam().device);
    for (Communicator* group : {all.get(), alone.get(), again.get(), &world}) {
      group->all_reduce(ones_N, ReduceOp::kSum)->wait();
    }
    const double expected = std::pow(world.size(), 3);
    expect_equal(ones_N, at::full({300}, expected, at::kFloat), "sums in nested groups");
  });
}

TEST_P(CommunicatorSuite, a_non_finite_value_reaches_every_rank) {
  GetParam().run([&](Communicator& world) {
    const float bad = std::numeric_limits<float>::quiet_NaN();
    const bool last = world.rank() == world.size() - 1;
    const at::Tensor value_1 = at::full({1}, last ? bad : 1.0f, at::kFloat).to(GetParam().device);
    world.all_reduce(value_1, ReduceOp::kSum)->wait();
    EXPECT_TRUE(std::isnan(value_1.item<float>()));
  });
}

TEST_P(CommunicatorSuite, pieces_that_do_not_fit_are_refused) {
  GetParam().run([&](Communicator& world) {
    const at::Tensor input_N = at::zeros({3}, at::device(GetParam().device).dtype(at::kFloat));
    const at::Tensor wrong_N = at::zeros({3 * world.size() + 1}, input_N.options());
    EXPECT_THROW((void)world.all_gather(wrong_N, input_N), c10::Error);
    EXPECT_THROW((void)world.reduce_scatter(input_N, wrong_N), c10::Error);
    world.barrier();
  });
}

TEST_P(CommunicatorSuite, strings_of_different_lengths_are_gathered) {
  if (!GetParam().device.is_cpu()) GTEST_SKIP() << "strings travel between hosts only";
  GetParam().run([&](Communicator& world) {
    const auto text = [](int rank) {
      return std::string(static_cast<size_t>(rank * 37 % 100), static_cast<char>('a' + rank));
    };
    const std::vector<std::string> all = all_gather_strings(world, text(world.rank()));
    ASSERT_EQ(static_cast<int>(all.size()), world.size());
    for (int rank = 0; rank < world.size(); ++rank) EXPECT_EQ(all[rank], text(rank));
    EXPECT_EQ(all_gather_strings(world, ""), std::vector<std::string>(world.size()));
  });
}

}  // namespace
}  // namespace phalanx
