#include "parallel/recorded_communicator.h"

#include <ATen/ATen.h>

#include <utility>

namespace phalanx {
namespace {

/// From the call of a collective to its return.
class Recorded {
 public:
  Recorded(FlightRecorder& recorder, int group, FlightOperation operation, size_t bytes)
      : recorder_(recorder) {
    recorder_.begin(group, operation, static_cast<int64_t>(bytes));
  }
  ~Recorded() { recorder_.end(); }
  Recorded(const Recorded&) = delete;
  Recorded& operator=(const Recorded&) = delete;

 private:
  FlightRecorder& recorder_;
};

class RecordedCommunicator final : public Communicator {
 public:
  RecordedCommunicator(std::unique_ptr<Communicator> inner, FlightRecorder& recorder,
                       std::vector<int> members, c10::Device device)
      : Communicator(inner->rank(), inner->size(), inner->name()),
        inner_(std::move(inner)),
        recorder_(recorder),
        device_(device),
        members_(std::move(members)),
        group_(recorder.add_group(name(), members_)) {}

  std::unique_ptr<Communicator> split(int color, int key, const std::string& name) override {
    const Recorded mark(recorder_, group_, FlightOperation::kSplit, 0);
    std::unique_ptr<Communicator> part = inner_->split(color, key, name);
    const at::Tensor mine = at::full({1}, members_[size_t(rank())], at::kInt).to(device_);
    const at::Tensor all_R = at::empty({part->size()}, mine.options());
    part->all_gather(all_R, mine)->wait();
    const at::Tensor host_R = all_R.cpu();
    const int* ranks = host_R.const_data_ptr<int>();
    return record(std::move(part), recorder_, {ranks, ranks + host_R.numel()}, device_);
  }
  WorkHandle all_reduce(const at::Tensor& tensor, ReduceOp op, SumOrder order) override {
    const Recorded mark(recorder_, group_, FlightOperation::kAllReduce, tensor.nbytes());
    return inner_->all_reduce(tensor, op, order);
  }
  WorkHandle reduce_scatter(const at::Tensor& output, const at::Tensor& input,
                            SumOrder order) override {
    const Recorded mark(recorder_, group_, FlightOperation::kReduceScatter, input.nbytes());
    return inner_->reduce_scatter(output, input, order);
  }
  WorkHandle all_gather(const at::Tensor& output, const at::Tensor& input) override {
    const Recorded mark(recorder_, group_, FlightOperation::kAllGather, output.nbytes());
    return inner_->all_gather(output, input);
  }
  WorkHandle all_to_all(const at::Tensor& output, const at::Tensor& input) override {
    const Recorded mark(recorder_, group_, FlightOperation::kAllToAll, input.nbytes());
    return inner_->all_to_all(output, input);
  }
  WorkHandle broadcast(const at::Tensor& tensor, int root) override {
    const Recorded mark(recorder_, group_, FlightOperation::kBroadcast, tensor.nbytes());
    return inner_->broadcast(tensor, root);
  }
  void barrier() override {
    const Recorded mark(recorder_, group_, FlightOperation::kBarrier, 0);
    inner_->barrier();
  }

 private:
  std::unique_ptr<Communicator> inner_;
  FlightRecorder& recorder_;
  c10::Device device_;
  std::vector<int> members_;
  int group_;
};

}  // namespace

std::unique_ptr<Communicator> record(std::unique_ptr<Communicator> inner, FlightRecorder& recorder,
                                     std::vector<int> members, c10::Device device) {
  return std::make_unique<RecordedCommunicator>(std::move(inner), recorder, std::move(members),
                                                device);
}

}  // namespace phalanx
