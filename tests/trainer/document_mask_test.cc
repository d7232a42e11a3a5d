// A row of several documents gives the losses and gradients of its documents alone.
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "parallel/nccl_communicator.h"
#include "tests/support/ranks.h"
#include "tests/support/test_device.h"
#include "tests/support/test_model.h"
#include "trainer/micro_batch.h"

namespace phalanx {
namespace {

class DocumentMask : public OnTestDevice {};

struct Pass {
  at::Tensor loss_N;
  std::vector<at::Tensor> grads;
};

/// Rows as the trainer hands them to the model, each a micro-batch of its own.
Pass pass_over(const std::vector<Row>& rows, bool document_mask) {
  Pass pass;
  run_ranks(1, [&](Communicator& control) {
    std::unique_ptr<Communicator> nccl;
    if (!test_device().is_cpu()) nccl = make_nccl_communicator(control, 0, "world");
    const TestMesh mesh(control, 1, nccl.get(), test_device());
    Replica replica(test_run_config(test_shape(), 1, true), mesh.context, {});
    const RopeTable rope(10000, 8, 16, test_device());
    replica.grads().begin_step(static_cast<int64_t>(rows.size()));
    std::vector<at::Tensor> losses;
    for (const Row& row : rows) {
      Batch batch = make_batch(1, static_cast<int64_t>(row.tokens.size()) - 1);
      put_row(row, 0, 0, document_mask, batch);
      losses.push_back(replica.model().loss(
          micro_batch(batch, 0, 1, rope, {document_mask, test_device()}), &replica.grads()));
    }
    pass.loss_N = at::cat(losses).cpu();
    for (const at::Tensor& share : replica.grads().finish())
      pass.grads.push_back(share.cpu().clone());
  });
  return pass;
}

TEST_F(DocumentMask, ARowOfDocumentsIsWhatItsDocumentsAreAlone) {
  const at::Tensor ids = test_ids(1, 16, 103, 11);
  const int64_t* id = ids.const_data_ptr<int64_t>();
  const Row whole{{id, id + 16}, 15, {0, 4, 5, 11}};
  // The last target of a document that ends in the row is the next one's first token: masked.
  const std::vector<Row> alone = {{{id, id + 5}, 4, {0, 4}},
                                  {{id + 4, id + 6}, 1, {0, 1}},
                                  {{id + 5, id + 12}, 6, {0, 6}},
                                  {{id + 11, id + 16}, 4, {0}}};
  const Pass found = pass_over({whole}, true), expected = pass_over(alone, true);
  ASSERT_EQ(found.loss_N.sizes(), expected.loss_N.sizes());
  EXPECT_TRUE(at::allclose(found.loss_N, expected.loss_N, 1e-5, 1e-7));
  EXPECT_EQ(at::count_nonzero(found.loss_N).item<int64_t>(), 12);
  for (size_t i = 0; i < expected.grads.size(); ++i) {
    const double size = expected.grads[i].norm().item<double>();
    EXPECT_GT(size, 0.0);
    EXPECT_LT((found.grads[i] - expected.grads[i]).norm().item<double>(), 1e-5 * size) << i;
  }
  EXPECT_FALSE(at::allclose(found.loss_N, pass_over({whole}, false).loss_N, 1e-3, 1e-3));
}

}  // namespace
}  // namespace phalanx
