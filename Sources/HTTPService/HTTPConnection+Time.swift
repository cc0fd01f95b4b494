// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1
import NIOSSL

/// Time limits, and the end of a connection before its time.
extension HTTPConnection {
    func checkTime(_ now: NIODeadline) {
        let isSending = self.checkWriteProgress(now)
        switch self.phase {
        case .responding:
            self.checkBodyRate(now)
        case .idle, .draining, .lingering:
            // A peer that still takes a reply is neither idle nor late with its next request.
            guard !isSending else {
                self.phaseStarted = now
                if self.headStarted != nil { self.headStarted = now }
                return
            }
            self.checkPhaseDuration(now)
        case .closed:
            break
        }
    }

    private func checkPhaseDuration(_ now: NIODeadline) {
        guard self.phase == .idle else {
            if now - self.phaseStarted > self.configuration.lingerTimeout { self.cut() }
            return
        }
        if let headStarted = self.headStarted, now - headStarted > self.configuration.headerTimeout {
            if self.hasSeenBytes { self.refuse(.requestTimeout) } else { self.abort() }
        } else if now - self.phaseStarted > self.configuration.idleTimeout {
            self.abort()
        }
    }

    private func checkBodyRate(_ now: NIODeadline) {
        guard self.exchange?.hasBody == true, !self.requestEnded, self.exchange?.awaitsContinue == false else { return }
        guard self.wantsToRead else {
            self.rate.pause()
            return
        }
        let window = self.configuration.bodyRateWindow
        guard let bytes = self.rate.bytesInWindow(window, now: now) else { return }
        let seconds = Double(window.nanoseconds) / 1_000_000_000
        if Double(bytes) < Double(self.configuration.minimumBodyRate) * seconds {
            self.inputIsBroken = true
            self.body?.fail(HTTPRequestBodyError(.tooSlow))
        }
    }

    /// - Returns: true while bytes of a reply wait for the peer.
    private func checkWriteProgress(_ now: NIODeadline) -> Bool {
        guard
            let options = self.context?.channel.syncOptions,
            let bytes = try? options.getOption(.bufferedWritableBytes),
            bytes > 0
        else {
            self.unsent = nil
            return false
        }
        let sent = self.exchange?.sentBytes
        if let unsent = self.unsent, unsent.bytes == bytes, unsent.sent == sent {
            if now - unsent.since > self.configuration.writeTimeout { self.cut() }
        } else {
            self.unsent = (bytes, sent, now)
        }
        return true
    }

    /// The server stops: closes at once between two requests, one whose head has not come to its end included, after
    /// the reply otherwise.
    func shutDown() {
        if self.phase == .idle, self.pipelined.isEmpty { self.abort() }
    }

    func abort() {
        self.context?.close(promise: nil)
    }

    /// Closes on a peer that does not keep to the rules. TLS's own way to close would go on reading until the peer has
    /// answered it.
    func cut() {
        let tls = try? self.context?.pipeline.syncOperations.context(handlerType: NIOSSLServerHandler.self)
        guard let tls else { return self.abort() }
        tls.close(promise: nil)
    }
}
