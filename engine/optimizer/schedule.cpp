#include <kindred/engine/counted.h>
#include <kindred/engine/error.h>
#include <kindred/engine/optimizer/schedule.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace kindred {

Schedule::Schedule(Kind kind, double base) : kind_(kind), base_(base) {
  check(base >= 0 && std::isfinite(base), ExitCode::usage,
        "the learning rate is {}; it must be a finite number, 0 or more", base);
}

Schedule Schedule::constant(double base) {
  return {Kind::constant, base};
}

Schedule Schedule::cosine(double base, std::int64_t total_steps, double floor) {
  check(total_steps > 0, ExitCode::usage, "a cosine schedule over {} steps; it needs at least one",
        total_steps);
  check(floor >= 0 && std::isfinite(floor), ExitCode::usage,
        "the learning rate ends at {}; it must be a finite number, 0 or more", floor);
  Schedule schedule(Kind::cosine, base);
  schedule.total_steps_ = total_steps;
  schedule.floor_ = floor;
  return schedule;
}

Schedule Schedule::step(double base, std::vector<std::int64_t> milestones, double factor) {
  check(factor > 0 && std::isfinite(factor), ExitCode::usage,
        "the learning rate is multiplied by {} at a milestone; the factor must be above 0", factor);
  Schedule schedule(Kind::step, base);
  std::sort(milestones.begin(), milestones.end());
  schedule.milestones_ = std::move(milestones);
  schedule.factor_ = factor;
  return schedule;
}

Schedule Schedule::exponential(double base, double factor, double period, bool staircase) {
  check(factor > 0 && std::isfinite(factor), ExitCode::usage,
        "the learning rate is multiplied by {} a period; the factor must be above 0", factor);
  check(period > 0 && std::isfinite(period), ExitCode::usage,
        "the learning rate decays over a period of {} steps; it must be above 0", period);
  Schedule schedule(Kind::exponential, base);
  schedule.factor_ = factor;
  schedule.period_ = period;
  schedule.staircase_ = staircase;
  return schedule;
}

Schedule Schedule::with_warmup(const Warmup& warmup) const {
  check(warmup.steps >= 0, ExitCode::usage, "a warm-up of {} steps; it must be 0 or more", warmup.steps);
  check(warmup.start >= 0 && std::isfinite(warmup.start), ExitCode::usage,
        "the warm-up starts at a learning rate of {}; it must be a finite number, 0 or more", warmup.start);
  Schedule schedule = *this;
  schedule.warmup_ = warmup;
  return schedule;
}

double Schedule::after_warmup(std::int64_t k) const {
  const auto steps = static_cast<double>(k);
  switch (kind_) {
    case Kind::constant:
      return base_;
    case Kind::cosine: {
      const double done = std::min(1.0, steps / static_cast<double>(total_steps_));
      return floor_ + (base_ - floor_) * (1 + std::cos(std::numbers::pi * done)) / 2;
    }
    case Kind::step: {
      const auto passed = std::upper_bound(milestones_.begin(), milestones_.end(), k) - milestones_.begin();
      return base_ * std::pow(factor_, static_cast<double>(passed));
    }
    case Kind::exponential: {
      const double periods = steps / period_;
      return base_ * std::pow(factor_, staircase_ ? std::floor(periods) : periods);
    }
  }
  return base_;
}

double Schedule::at(std::int64_t k) const {
  check(k >= 0, ExitCode::internal, "the learning rate of step {}", k);
  if (k >= warmup_.steps) return after_warmup(k);
  const double end = warmup_.meet_schedule ? after_warmup(warmup_.steps) : base_;
  return warmup_.start +
         (end - warmup_.start) * static_cast<double>(k + 1) / static_cast<double>(warmup_.steps);
}

std::string Schedule::to_string() const {
  std::string text;
  switch (kind_) {
    case Kind::constant:
      text = fmt::format("constant {:g}", base_);
      break;
    case Kind::cosine:
      text = fmt::format("cosine from {:g} to {:g} over {}", base_, floor_, counted(total_steps_, "step"));
      break;
    case Kind::step:
      text = fmt::format("{:g}, times {:g} at steps", base_, factor_);
      for (const std::int64_t milestone : milestones_)
        text += (milestone == milestones_.front() ? " " : ", ") + std::to_string(milestone);
      break;
    case Kind::exponential:
      text = fmt::format("{:g}, times {:g} {} {:g} steps", base_, factor_, staircase_ ? "every" : "over each",
                         period_);
      break;
  }
  if (warmup_.steps > 0) {
    const char* until = warmup_.meet_schedule ? " until it meets the schedule" : "";
    text +=
        fmt::format(", after {} of warm-up from {:g}{}", counted(warmup_.steps, "step"), warmup_.start, until);
  }
  return text;
}

}  // namespace kindred
