target_sources(phalanx_trainer PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/checkpoint_folder.cc
  ${CMAKE_CURRENT_LIST_DIR}/checkpoint_reader.cc
  ${CMAKE_CURRENT_LIST_DIR}/checkpoint_writer.cc
  ${CMAKE_CURRENT_LIST_DIR}/hf_config.cc
  ${CMAKE_CURRENT_LIST_DIR}/hf_export.cc
  ${CMAKE_CURRENT_LIST_DIR}/hf_folder.cc
  ${CMAKE_CURRENT_LIST_DIR}/manifest.cc
  ${CMAKE_CURRENT_LIST_DIR}/safetensors.cc
  ${CMAKE_CURRENT_LIST_DIR}/safetensors_writer.cc
  ${CMAKE_CURRENT_LIST_DIR}/share_pieces.cc
  ${CMAKE_CURRENT_LIST_DIR}/slice_layout.cc
  ${CMAKE_CURRENT_LIST_DIR}/strict_json.cc
  ${CMAKE_CURRENT_LIST_DIR}/verified_files.cc
)
