#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/training/run/shared/between_steps.h>

#include <cstddef>

namespace kindred {

BetweenSteps agree_between_steps(const Communicator& processes, bool save_is_due) {
  if (processes.is_alone()) return {.ends = interrupt_signal() != 0, .saves = save_is_due};
  const std::vector<double> agreed =
      processes.max({static_cast<double>(interrupt_signal()), save_is_due ? 1.0 : 0.0});
  learn_of_interrupt(static_cast<int>(agreed[0]));
  return {.ends = agreed[0] != 0, .saves = agreed[1] != 0};
}

WholeBatch whole_batch(const Communicator& processes, const BatchSource& own) {
  if (processes.is_alone()) return {own.labels(), own.indices(), own.drawn()};
  // One message: labels, indices and drawn of this process, as f64, which holds every index exactly.
  const std::size_t share = own.labels().size();
  std::vector<double> sent(own.labels().begin(), own.labels().end());
  for (const std::vector<std::int64_t>* const numbers : {&own.indices(), &own.drawn()})
    for (const std::int64_t number : *numbers) sent.push_back(static_cast<double>(number));
  const Tensor gathered =
      Tensor::empty({processes.size(), static_cast<std::int64_t>(sent.size())}, DType::f64, Device::cpu);
  processes.all_gather(Tensor::from(sent, {static_cast<std::int64_t>(sent.size())}, Device::cpu),
                       Output(gathered));
  WholeBatch whole;
  const double* next = gathered.data<double>();
  for (int rank = 0; rank < processes.size(); ++rank) {
    for (std::size_t i = 0; i < share; ++i) whole.labels.push_back(static_cast<std::int32_t>(*next++));
    for (std::vector<std::int64_t>* const numbers : {&whole.indices, &whole.drawn})
      for (std::size_t i = 0; i < share; ++i) numbers->push_back(static_cast<std::int64_t>(*next++));
  }
  return whole;
}

}  // namespace kindred
