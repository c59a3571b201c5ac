#include <kindred/engine/error.h>
#include <kindred/third_party/httplib/http_calls.h>
#include <kindred/third_party/search/dynamic_library.h>
#include <kindred/third_party/search/program_module.h>

// KINDRED_WITHOUT_HTTP: why this build has no module, "" if it has one; from apps/CMakeLists.txt.

namespace kindred::third_party {
namespace {

constexpr ProgramModule http_module{"libkindred_http.so", "", KINDRED_WITHOUT_HTTP};

const HttpCalls& open_module() {
  const std::filesystem::path file = module_file(http_module);
  check(!file.empty(), ExitCode::usage, "serving needs cpp-httplib, and {}", why_no_module(http_module));
  const DynamicLibrary library({file.string()});
  check(library.is_open(), ExitCode::usage,
        "serving needs cpp-httplib, and {} does not open: {}; install that library, or build Kindred on this "
        "machine",
        file.string(), library.problem());
  const HttpCalls* calls = nullptr;
  library.load(calls, "kindred_http_calls");
  check(
      calls->version == http_calls_version, ExitCode::usage,
      "{} has version {} of Kindred's calls of cpp-httplib; this program needs {}: install both from one build",
      file.string(), calls->version, http_calls_version);
  return *calls;
}

const HttpCalls& http_calls() {
  static const HttpCalls& calls = open_module();  // tried again after an error
  return calls;
}

}  // namespace

bool has_http() {
  return !module_file(http_module).empty();
}

void open_http() {
  http_calls();
}

int exchange_http(ByteStream& stream, const HttpSite& site) {
  return http_calls().exchange(stream, site);
}

}  // namespace kindred::third_party
