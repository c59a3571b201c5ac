#include <kindred/engine/error.h>
#include <kindred/third_party/httplib/http_calls.h>
#include <kindred/third_party/search/program_module.h>

// KINDRED_WITHOUT_HTTP: why this build has no module, "" if it has one; from apps/CMakeLists.txt.

namespace kindred::third_party {
namespace {

constexpr ProgramModule http_module{"libkindred_http.so", "", KINDRED_WITHOUT_HTTP};

constexpr ModuleUse http_use{"serving needs cpp-httplib", "cpp-httplib",
                             "install that library, or build Kindred on this machine", ExitCode::usage};

const HttpCalls& http_calls() {
  static const HttpCalls& calls = calls_of_module<HttpCalls>(http_module, http_use, "kindred_http_calls",
                                                             http_calls_version);  // tried again after an error
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
