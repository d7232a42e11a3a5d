#pragma once
// Names of the functions of this program, from the symbol table of its own file: the dynamic linker
// knows only those of libraries. Local. A program without a table gives no names.
#include <cstdint>
#include <map>
#include <string>

namespace phalanx {

class SymbolTable {
 public:
  SymbolTable();

  /// Of the function at `offset` from `base`, where a module lies; empty if `base` is not the
  /// program's, or the name is not known.
  std::string name_at(const void* base, uint64_t offset) const;

 private:
  struct Function {
    uint64_t end = 0;
    std::string name;
  };
  const void* base_ = nullptr;
  std::map<uint64_t, Function> functions_;  // by where they begin
};

}  // namespace phalanx
