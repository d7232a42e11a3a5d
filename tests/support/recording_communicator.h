#pragma once
// A communicator that passes everything on to another and writes down when a collective starts and
// when it is waited for. Local to its rank; the other communicator and the log must outlive it.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "parallel/communicator.h"

namespace phalanx {

using CallLog = std::vector<std::string>;

class RecordingCommunicator final : public Communicator {
 public:
  RecordingCommunicator(Communicator& inner, CallLog& log)
      : Communicator(inner.rank(), inner.size(), inner.name()), inner_(inner), log_(log) {}

  std::unique_ptr<Communicator> split(int color, int key, const std::string& name) override {
    return inner_.split(color, key, name);
  }
  WorkHandle all_reduce(const at::Tensor& tensor, ReduceOp op, SumOrder order) override {
    return noted("all_reduce", inner_.all_reduce(tensor, op, order));
  }
  WorkHandle reduce_scatter(const at::Tensor& output, const at::Tensor& input,
                            SumOrder order) override {
    return noted("reduce_scatter", inner_.reduce_scatter(output, input, order));
  }
  WorkHandle all_gather(const at::Tensor& output, const at::Tensor& input) override {
    return noted("all_gather", inner_.all_gather(output, input));
  }
  WorkHandle all_to_all(const at::Tensor& output, const at::Tensor& input) override {
    return noted("all_to_all", inner_.all_to_all(output, input));
  }
  WorkHandle broadcast(const at::Tensor& tensor, int root) override {
    return noted("broadcast", inner_.broadcast(tensor, root));
  }
  void barrier() override { inner_.barrier(); }

 private:
  class NotedWork final : public Work {
   public:
    NotedWork(std::string name, WorkHandle inner, CallLog& log)
        : name_(std::move(name)), inner_(std::move(inner)), log_(log) {}
    void wait() override {
      log_.push_back("wait " + name_);
      inner_->wait();
    }

   private:
    std::string name_;
    WorkHandle inner_;
    CallLog& log_;
  };
  WorkHandle noted(const std::string& name, WorkHandle work) {
    log_.push_back(name);
    return std::make_unique<NotedWork>(name, std::move(work), log_);
  }

  Communicator& inner_;
  CallLog& log_;
};

}  // namespace phalanx
