// The little of XLA's foreign-function interface that the handlers need.
#ifndef DEFECTGEN_XLA_H
#define DEFECTGEN_XLA_H

#include "xla/ffi/api/c_api.h"

static const XLA_FFI_Buffer* argument(const XLA_FFI_CallFrame* frame, int k) { return frame->args.args[k]; }

static XLA_FFI_Buffer* result(const XLA_FFI_CallFrame* frame, int k) { return frame->rets.rets[k]; }

// XLA first calls a handler to ask for the version of the interface that it was written for.
static int asks_for_metadata(const XLA_FFI_CallFrame* frame) {
  return frame->extension_start && frame->extension_start->type == XLA_FFI_Extension_Metadata;
}

static XLA_FFI_Error* tell_metadata(XLA_FFI_CallFrame* frame) {
  XLA_FFI_Metadata* metadata = ((XLA_FFI_Metadata_Extension*)frame->extension_start)->metadata;
  metadata->api_version.struct_size = XLA_FFI_Api_Version_STRUCT_SIZE;
  metadata->api_version.extension_start = NULL;
  metadata->api_version.major_version = XLA_FFI_API_MAJOR;
  metadata->api_version.minor_version = XLA_FFI_API_MINOR;
  metadata->traits = 0;
  return NULL;
}

static XLA_FFI_Error* out_of_memory(XLA_FFI_CallFrame* frame) {
  XLA_FFI_Error_Create_Args args = {XLA_FFI_Error_Create_Args_STRUCT_SIZE, NULL, "no memory for the work arrays of the kernel",
                                    XLA_FFI_Error_Code_RESOURCE_EXHAUSTED};
  return frame->api->XLA_FFI_Error_Create(&args);
}

#endif
