#include <kindred/engine/dtype.h>
#include <kindred/engine/names.h>

namespace kindred {

namespace {

constexpr Named<DType> dtype_names[] = {{DType::f32, "f32"}, {DType::bf16, "bf16"}, {DType::f16, "f16"},
                                        {DType::f64, "f64"}, {DType::u8, "u8"},     {DType::i32, "i32"}};

}  // namespace

const char* name(DType dtype) {
  return name_of(dtype_names, dtype);
}

}  // namespace kindred
