// Tensor-parallel layers on thread ranks against the dense layer in double: linear layers, the
// vocabulary-parallel embedding, and the head fused with its loss.
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <string>

#include "parallel/tp_linear.h"
#include "parallel/vocab_parallel.h"
#include "tests/model/random_tensor.h"
#include "tests/support/ranks.h"

namespace phalanx {
namespace {

constexpr int64_t kHidden = 12, kTokens = 13;  // tokens divide by no axis

/// One rank with an axis of tensor parallelism over the whole world.
struct Rank {
  Rank(Communicator& world_in, bool sequence_parallel)
      : world(world_in), alone(world.split(world.rank(), 0, "dp")), tp(world, sequence_parallel) {}
  void allocate(const std::map<std::string, at::Tensor>& full) {
    set.allocate(at::kFloat, at::kCPU, 1);
    for (const auto& parameter : set.parameters()) {
      const ShardSpec& spec = parameter->spec;
      const at::Tensor& value = full.at(parameter->name);
      parameter->weight.copy_(value.narrow(spec.dim, spec.used.begin, spec.used.size()));
    }
    grads = std::make_unique<GradBuckets>(set, *alone, world);
    grads->begin_step(1);
  }
  /// This rank's tokens of a whole tensor, padded as the layers pad.
  at::Tensor mine(const at::Tensor& x_ND) const {
    if (!tp.sequence_parallel()) return x_ND.clone();
    const int64_t n = (x_ND.size(0) + world.size() - 1) / world.size();
    const at::Tensor padded = at::constant_pad_nd(x_ND, {0, 0, 0, n * world.size() - x_ND.size(0)});
    return padded.narrow(0, n * world.rank(), n).clone();
  }
  /// Compares each parameter's gradient with its part of the full one, after the step's end.
  void expect_gradients(const std::map<std::string, at::Tensor>& full) {
    grads->finish();
    for (const auto& parameter : set.parameters()) {
      const ShardSpec& spec = parameter->spec;
      const at::Tensor part =
          full.at(parameter->name).narrow(spec.dim, spec.used.begin, spec.used.size());
      EXPECT_LT(relative_error(parameter->grad, part), 3e-6)
          << parameter->name << " on rank " << world.rank() << " of " << world.size();
    }
  }
  Communicator& world;
  std::unique_ptr<Communicator> alone;
  TensorParallel tp;
  ParameterSet set;
  std::unique_ptr<GradBuckets> grads;
};

void on_all_axes(const std::function<void(Rank&)>& body) {
  for (const int size : {1, 2, 3, 4, 8}) {
    for (const bool sequence_parallel : {false, true}) {
      run_ranks(size, [&](Communicator& world) {
        Rank rank(world, sequence_parallel);
        body(rank);
      });
    }
  }
}

TEST(TensorParallel, ReduceAddsAndGatherBringsTheTokensBack) {
  on_all_axes([](Rank& rank) {
    const at::Tensor x = random_tensor({kTokens, 3}, 1);
    EXPECT_TRUE(at::equal(rank.tp.gather(rank.mine(x), kTokens), x));
    const at::Tensor sum = rank.tp.gather(rank.tp.reduce(at::ones({kTokens, 3})), kTokens);
    EXPECT_TRUE(at::equal(sum, at::full({kTokens, 3}, double(rank.world.size()))));
  });
}

TEST(TpLinear, ColumnAndRowParallelLayersEqualTheDenseOnes) {
  constexpr int64_t kInner = 23;
  const std::map<std::string, at::Tensor> full{{"a", random_tensor({kInner, kHidden}, 1)},
                                               {"b", random_tensor({kInner, kHidden}, 2)},
                                               {"down", random_tensor({kHidden, kInner}, 3)}};
  const at::Tensor x = random_tensor({kTokens, kHidden}, 4),
                   dy = random_tensor({kTokens, kHidden}, 5);
  const auto dense = [&](const std::string& name) { return full.at(name).to(at::kDouble); };
  const at::Tensor xd = x.to(at::kDouble), dyd = dy.to(at::kDouble);
  // y = (a(x) + b(x)) through down
  const at::Tensor inner = xd.mm(dense("a").t()) + xd.mm(dense("b").t());
  const at::Tensor dinner = dyd.mm(dense("down"));
  const at::Tensor y = inner.mm(dense("down").t()), dx = dinner.mm(dense("a") + dense("b"));
  on_all_axes([&](Rank& rank) {
    const Range part = rank.tp.part_of(kInner);
    const ColumnParallelLinear up(rank.set, rank.tp, "layer", kHidden,
                                  {{"a", kInner, part, false}, {"b", kInner, part, false}});
    const RowParallelLinear down(rank.set, rank.tp, "layer", "down", kHidden, kInner, part);
    rank.allocate(full);
    const at::Tensor x_nD = rank.mine(x);
    const auto halves = up.forward(x_nD, kTokens).split(part.size(), 1);
    const at::Tensor inner_Nf = (halves[0] + halves[1]).contiguous();
    EXPECT_LT(relative_error(rank.tp.gather(down.forward(inner_Nf), kTokens), y), 1e-6);
    const at::Tensor dinner_Nf = down.backward(rank.mine(dy), inner_Nf, *rank.grads);
    const at::Tensor both = at::cat({dinner_Nf, dinner_Nf}, 1);
    const at::Tensor dx_nD = up.backward(both, x_nD, *rank.grads);
    EXPECT_LT(relative_error(rank.tp.gather(dx_nD, kTokens), dx), 1e-6);
    rank.expect_gradients(
        {{"a", dinner.t().mm(xd)}, {"b", dinner.t().mm(xd)}, {"down", dyd.t().mm(inner)}});
  });
}

TEST(TpLinear, RowsThatSeveralRanksUseGetTheSumOfTheirGradients) {
  run_ranks(3, [](Communicator& world) {
    Rank rank(world, true);
    const std::map<std::string, at::Tensor> full{{"q", random_tensor({6, kHidden}, 1)},
                                                 {"k", random_tensor({4, kHidden}, 2)}};
    const Range used{world.rank(), world.rank() + 2};
    const ColumnParallelLinear layer(
        rank.set, rank.tp, "layer", kHidden,
        {{"q", 6, split_range(6, 3, world.rank()), false}, {"k", 4, used, true}});
    rank.allocate(full);
    const at::Tensor x = random_tensor({kTokens, kHidden}, 3);
    const at::Tensor y = layer.forward(rank.mine(x), kTokens);
    EXPECT_LT(relative_error(y.narrow(1, 2, 2), x.mm(full.at("k").narrow(0, used.begin, 2).t())),
              1e-6);
    const at::Tensor dx =
        rank.tp.gather(layer.backward(at::ones({kTokens, 4}), rank.mine(x), *rank.grads), kTokens);
    rank.grads->finish();
    const Parameter& k = *rank.set.parameters()[1];
    const at::Tensor whole =
        stored_view(k, rank.set.buckets()[static_cast<size_t>(k.bucket)].grads);
    const at::Tensor times_used = at::tensor({1.F, 2.F, 2.F, 1.F}).unsqueeze(1);
    EXPECT_LT(relative_error(whole, times_used * x.sum(0)), 1e-6);
    const at::Tensor dx_row = full.at("q").sum(0) + (times_used * full.at("k")).sum(0);
    EXPECT_LT(relative_error(dx, dx_row.expand({kTokens, kHidden})), 1e-6);
  });
}

struct Vocabulary {
  explicit Vocabulary(int64_t size_in)
      : size(size_in),
        weight(random_tensor({size, kHidden}, 1)),
        x(random_tensor({kTokens, kHidden}, 2)) {
    tokens = at::arange(kTokens, at::kLong).mul_(7).remainder_(size);
    targets = at::arange(kTokens, at::kLong).mul_(5).add_(size - 1).remainder_(size);
    mask = at::ones({kTokens}, at::TensorOptions(at::kBool));
    mask[3].fill_(false);
    mask[kTokens - 1].fill_(false);
    const at::Tensor logits = x.to(at::kDouble).mm(weight.to(at::kDouble).t());
    const at::Tensor one_hot = at::one_hot(targets, size).to(at::kDouble);
    loss = -(logits.log_softmax(1) * one_hot).sum(1) * mask;
    const at::Tensor dlogits = (logits.softmax(1) - one_hot) * mask.unsqueeze(1);
    dx = dlogits.mm(weight.to(at::kDouble));
    dweight = dlogits.t().mm(x.to(at::kDouble));
  }
  int64_t size;
  at::Tensor weight, x, tokens, targets, mask, loss, dx, dweight;
};

TEST(VocabParallelHead, LossAndGradientsEqualThoseOfFullLogitsForEveryChunkSize) {
  for (const int64_t size : {103, 9}) {  // 9 rows on 8 ranks: some hold none
    const Vocabulary v(size);
    for (const int64_t chunk : {1, 5, 13, 1000}) {
      on_all_axes([&](Rank& rank) {
        const VocabParallelHead head(rank.set, rank.tp, "head", size, kHidden, chunk);
        rank.allocate({{"head", v.weight}});
        const HeadLoss found = head.loss(rank.mine(v.x), v.targets, v.mask, rank.grads.get());
        EXPECT_LT(relative_error(found.loss_N, v.loss), 1e-6) << size << ", chunk " << chunk;
        EXPECT_EQ(found.loss_N[3].item<float>(), 0.0F);
        EXPECT_LT(relative_error(rank.tp.gather(found.dx_nD, kTokens), v.dx), 1e-6)
            << size << ", chunk " << chunk;
        rank.expect_gradients({{"head", v.dweight}});
        const HeadLoss alone = head.loss(rank.mine(v.x), v.targets, v.mask, nullptr);
        EXPECT_TRUE(at::equal(alone.loss_N, found.loss_N));
        EXPECT_FALSE(alone.dx_nD.defined());
      });
    }
  }
}

TEST(VocabParallelHead, LogitsAreWholeOnEveryRank) {
  const Vocabulary v(103);
  on_all_axes([&](Rank& rank) {
    const VocabParallelHead head(rank.set, rank.tp, "head", v.size, kHidden, 4);
    rank.allocate({{"head", v.weight}});
    const at::Tensor logits = head.logits(rank.mine(v.x), kTokens, v.size);
    EXPECT_LT(relative_error(logits, v.x.mm(v.weight.t())), 1e-6);
  });
}

TEST(VocabParallelHead, HugeLogitsGiveFiniteLosses) {
  on_all_axes([](Rank& rank) {
    const Vocabulary v(103);
    const VocabParallelHead head(rank.set, rank.tp, "head", v.size, kHidden, 5);
    rank.allocate({{"head", v.weight * 1e4}});
    const HeadLoss found = head.loss(rank.mine(v.x), v.targets, v.mask, rank.grads.get());
    EXPECT_TRUE(at::isfinite(found.loss_N).all().item<bool>());
    EXPECT_TRUE(at::isfinite(found.dx_nD).all().item<bool>());
  });
}

/// A masked token must not poison the gradients of the others, whatever its logits are.
TEST(VocabParallelHead, AMaskedTokenThatIsNotFiniteChangesNothing) {
  on_all_axes([](Rank& rank) {
    const Vocabulary v(103);
    const VocabParallelHead head(rank.set, rank.tp, "head", v.size, kHidden, 5);
    rank.allocate({{"head", v.weight}});
    const auto loss_of = [&](const at::Tensor& x) {
      const HeadLoss found = head.loss(rank.mine(x), v.targets, v.mask, nullptr);
      return found.loss_N;
    };
    at::Tensor x = v.x.clone();
    x[3].mul_(1e38);  // its logits overflow
    EXPECT_TRUE(at::equal(loss_of(x), loss_of(v.x)));
    const HeadLoss found = head.loss(rank.mine(x), v.targets, v.mask, rank.grads.get());
    EXPECT_TRUE(at::isfinite(found.dx_nD).all().item<bool>());
  });
}

TEST(VocabParallelEmbedding, RowsAreLookedUpAndTheirGradientsAddedOnTheRankThatHoldsThem) {
  for (const int64_t size : {103, 9}) {
    const Vocabulary v(size);
    const at::Tensor dy = random_tensor({kTokens, kHidden}, 3);
    const at::Tensor dweight = at::zeros({size, kHidden}).index_add_(0, v.tokens, dy);
    on_all_axes([&](Rank& rank) {
      const VocabParallelEmbedding embedding(rank.set, rank.tp, "embedding", size, kHidden);
      rank.allocate({{"embedding", v.weight}});
      const at::Tensor y = rank.tp.gather(embedding.forward(v.tokens), kTokens);
      EXPECT_TRUE(at::equal(y, v.weight.index_select(0, v.tokens)));
      embedding.backward(rank.mine(dy), v.tokens, *rank.grads);
      rank.expect_gradients({{"embedding", dweight}});
    });
  }
}

TEST(VocabParallelHead, ATiedHeadAddsItsGradientToTheEmbeddings) {
  const Vocabulary v(103);
  const at::Tensor dy = random_tensor({kTokens, kHidden}, 3);
  const at::Tensor dweight =
      v.dweight +
      at::zeros({v.size, kHidden}, at::kDouble).index_add_(0, v.tokens, dy.to(at::kDouble));
  on_all_axes([&](Rank& rank) {
    VocabParallelEmbedding embedding(rank.set, rank.tp, "embedding", v.size, kHidden);
    const VocabParallelHead head(embedding, rank.tp, 5);
    EXPECT_EQ(embedding.weight().uses, 2);
    rank.allocate({{"embedding", v.weight}});
    const HeadLoss found = head.loss(rank.mine(v.x), v.targets, v.mask, rank.grads.get());
    EXPECT_LT(relative_error(found.loss_N, v.loss), 1e-6);
    embedding.backward(rank.mine(dy), v.tokens, *rank.grads);
    rank.expect_gradients({{"embedding", dweight}});
  });
}

}  // namespace
}  // namespace phalanx
