// SPDX-License-Identifier: Apache-2.0

/// What libFuzzer calls with each input it thinks of; see `scripts/fuzz`. Compiled into one module with the decoders.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    if let violation = DecoderProperties.violation(of: bytes) { fatalError(violation) }
    return 0
}
