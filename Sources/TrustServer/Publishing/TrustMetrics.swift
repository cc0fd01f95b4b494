// SPDX-License-Identifier: Apache-2.0

import HTTPService
import NotaryAPI
import TUF

/// What a trust server counts beside its requests.
struct TrustMetrics: Sendable {
    /// Uploads by what became of them: `stored`, `refused` or `failed`.
    let publishes: MetricCounter
    /// Refused uploads by Notary's error code and by cause.
    let rejections: MetricCounter
    let signatures: MetricCounter
    let signatureFailures: MetricCounter
    let signerCalls: MetricHistogram
    /// Collections looked after in the background, by result.
    let renewals: MetricCounter
    let renewalsDue: MetricGauge
    let expiry: MetricGauge
    let expiring: MetricGauge
    let expired: MetricGauge

    init(_ metrics: Metrics) {
        self.publishes = metrics.counter(
            "hallmark_publishes_total",
            help: "Uploads, by what became of them.",
            labels: ["result"]
        )
        self.rejections = metrics.counter(
            "hallmark_rejections_total",
            help: "Uploads that were refused, by error code and cause.",
            labels: ["code", "reason"]
        )
        self.signatures = metrics.counter(
            "hallmark_signatures_total",
            help: "Signatures made by the signer.",
            labels: ["role", "algorithm"]
        )
        self.signatureFailures = metrics.counter(
            "hallmark_signature_failures_total",
            help: "Signatures that the signer did not make.",
            labels: ["role", "algorithm", "reason"]
        )
        self.signerCalls = metrics.histogram(
            "hallmark_signer_call_seconds",
            help: "Time taken by calls of the signer.",
            labels: ["call"]
        )
        self.renewals = metrics.counter(
            "hallmark_renewals_total",
            help: "Collections looked after in the background, by result.",
            labels: ["result"]
        )
        self.renewalsDue = metrics.gauge("hallmark_renewals_due", help: "Collections that wait to be renewed.")
        self.expiry = metrics.gauge(
            "hallmark_expiry_seconds",
            help:
                "Time until the first of those in force expires; timestamp and snapshot: of those the server cannot renew.",
            labels: ["role"]
        )
        self.expiring = metrics.gauge(
            "hallmark_expiring",
            help: "How many are in force and expire within so many days.",
            labels: ["role", "days"]
        )
        self.expired = metrics.gauge("hallmark_expired", help: "How many have expired.", labels: ["role"])
        for result in ["stored", "refused", "failed"] { self.publishes.add(0, result) }
    }

    func refused(_ code: NotaryErrorCode, _ reason: String) {
        self.publishes.add(1, "refused")
        self.rejections.add(1, code.rawValue, reason)
    }

    /// Counts an upload that was not stored.
    /// - Returns: the error to answer with.
    func rejected(_ error: any Error) -> any Error {
        switch error {
        case let refusal as RefusedUpdate:
            self.refused(refusal.error.code, "\(refusal.cause)")
            return refusal.error
        case let error as NotaryError where error.code.status < 500:
            self.refused(error.code, error.reason)
            return error
        default:
            self.publishes.add(1, "failed")
            return error
        }
    }
}

/// An update that is refused, with the cause that the reply has no field for.
struct RefusedUpdate: Error, Sendable {
    let error: NotaryError
    let cause: TUFError.Code

    init(_ kind: InvalidUpdate.Kind, _ cause: TUFError) {
        self.error = NotaryError(kind, cause.message)
        self.cause = cause.code
    }
}

extension NotaryError {
    /// The cause, as metrics name it.
    fileprivate var reason: String {
        switch (self.code, self.detail) {
        case (.version, _): "conflict"
        case (_, .update(let update)): update.kind.rawValue
        default: "malformed"
        }
    }
}
