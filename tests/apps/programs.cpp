#include "programs.h"
#include "../places.h"

#include <fmt/core.h>
#include <poll.h>         // defines: poll
#include <signal.h>       // defines: kill
#include <sys/inotify.h>  // defines: inotify_init1
#include <sys/wait.h>
#include <unistd.h>  // defines: close, read

#include <kindred/data/sets/toy_set.h>
#include <kindred/engine/device_kernels.h>
#include <kindred/engine/files/json_text.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

namespace kindred {

namespace {

ProgramResult run_command(const std::string& environment, const std::string& folder, const std::string& program,
                          const std::string& arguments) {
  // Waiting threads sleep: with more programs than processors, spinning threads would slow the others down.
  const std::string command = fmt::format("{} OMP_NUM_THREADS=2 OMP_WAIT_POLICY=passive {}/{} {} 2>&1",
                                          environment, folder, program, arguments);
  FILE* pipe = popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  ProgramResult result;
  std::array<char, 4096> buffer;
  for (std::size_t n; (n = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
    result.output.append(buffer.data(), n);
  const int status = pclose(pipe);
  result.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

}  // namespace

ProgramResult run_program_with(const std::string& prefix, const std::string& program,
                               const std::string& arguments) {
  return run_command(prefix + " CUDA_VISIBLE_DEVICES=", apps_dir(), program, arguments);
}

ProgramResult run_program(const std::string& program, const std::string& arguments) {
  return run_program_with("", program, arguments);
}

ProgramResult run_program_on_gpu(const std::string& program, const std::string& arguments,
                                 const std::string& prefix) {
  const std::string folder = gpu().probe().emulated ? apps_dir() + "/emulated" : apps_dir();
  return run_command(prefix, folder, program, arguments + " --device cuda");
}

ProgramResult run_these_tests(const std::string& prefix, const std::string& arguments) {
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe");
  return run_command(prefix, self.parent_path(), self.filename(), arguments);
}

void run_until_checkpoint(const std::string& set, const std::string& run, const std::string& flags,
                          bool on_gpu) {
  const std::string killer = fmt::format(
      "(for i in $(seq 3000); do [ -f {0}/checkpoint.safetensors ] && break; sleep 0.02; done; "
      "pkill -KILL -f 'pretrain.*--out {0} ') &",
      run);
  const std::string arguments = set + " --out " + run + flags;
  if (on_gpu)
    run_program_on_gpu("pretrain", arguments, killer);
  else
    run_program_with(killer, "pretrain", arguments);
  REQUIRE(std::filesystem::exists(run + "/checkpoint.safetensors"));
}

ProgramResult run_until_it_opens(const std::string& folder, int signal, const std::string& program,
                                 const std::string& arguments, const std::string& env_flags) {
  const TemporaryFolder place;
  const std::string id = place / "id";
  const int watch = ::inotify_init1(0);
  REQUIRE(::inotify_add_watch(watch, folder.c_str(), IN_OPEN) >= 0);
  std::atomic<bool> over = false;
  std::thread sender([&] {
    alignas(inotify_event) std::array<char, 4096> events;
    for (bool opened = false; !opened;) {
      pollfd ready{watch, POLLIN, 0};
      if (::poll(&ready, 1, 20) == 0) {  // milliseconds
        if (over) return;
        continue;
      }
      const ssize_t length = ::read(watch, events.data(), events.size());
      if (length <= 0) return;
      for (const char* at = events.data(); at < events.data() + length;) {
        const auto* event = reinterpret_cast<const inotify_event*>(at);
        opened |= event->len > 0 && (event->mask & IN_ISDIR) == 0;
        at += sizeof(inotify_event) + event->len;
      }
    }
    if (!over) ::kill(std::stoi(read_bytes(id)), signal);
  });
  const auto result =
      run_program_with("sh -c 'echo $$ > " + id + "; exec env \"$@\"' sh " + env_flags, program, arguments);
  over = true;
  sender.join();
  ::close(watch);
  return result;
}

bool has_onnx() {
  const auto result = run_program("export", "none --format onnx --out none.onnx");
  if (result.output.find("libonnx") == std::string::npos) return true;
  MESSAGE("skipped: built without libonnx");
  std::puts("skipped: built without libonnx");
  return false;
}

bool says(const ProgramResult& result, const std::string& text) {
  CAPTURE(result.output);
  return result.output.find(text) != std::string::npos;
}

bool is_one_line_error(const ProgramResult& result) {
  const auto at = result.output.find("error: ");
  if (at == std::string::npos) return false;
  const std::string message = result.output.substr(at);
  return message.find('\n') == message.size() - 1;
}

std::string draw_tiny_set(const TemporaryFolder& folder, int classes, int per_class) {
  ToySetOptions options;
  options.classes = classes;
  options.per_class = per_class;
  options.image_size = 32;
  const std::string path = (folder.path / "set").string();
  make_toy_set(path, options);
  return path;
}

std::size_t folder_fingerprint(const std::filesystem::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) files[entry.path().string()] = read_bytes(entry.path());
  std::size_t fingerprint = files.size();
  for (const auto& [name, bytes] : files)
    fingerprint = fingerprint * 1000003 + std::hash<std::string>{}(name) + 31 * std::hash<std::string>{}(bytes);
  return fingerprint;
}

std::map<std::string, std::string> folder_contents(const std::filesystem::path& folder) {
  std::map<std::string, std::string> contents;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    contents[entry.path().lexically_relative(folder).string()] =
        entry.is_regular_file() ? read_bytes(entry.path()) : "";
  return contents;
}

nlohmann::json json_file(const std::filesystem::path& path) {
  return parse_json(read_bytes(path));
}

std::vector<nlohmann::json> json_lines(const std::filesystem::path& path) {
  std::istringstream text(read_bytes(path));
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(parse_json(line));
  return lines;
}

}  // namespace kindred
