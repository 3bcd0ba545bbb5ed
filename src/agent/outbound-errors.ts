/** Why a message did not leave, or a request has no reply. */

import { AfpDeliveryError, type AfpError, AfpRoutingError, AfpTimeoutError } from '../common/errors.ts'
import { readFailure } from '../message/failure.ts'
import type { Message } from '../message/message.ts'

export const nobodyReached = (message: Message, causes: Error[]): AfpRoutingError =>
  new AfpRoutingError('NO_ROUTE', `none of ${causes.length} recipients was reached`, {
    sender: message.sender,
    recipients: message.recipients,
    messageId: message.id,
    cause: new AggregateError(causes),
  })

export const notTaken = (message: Message, recipient: string, timeout: number): AfpTimeoutError =>
  new AfpTimeoutError(`${recipient} did not take the message within ${timeout / 1000} s: it has not left`, {
    messageId: message.id,
    timeoutSeconds: timeout / 1000,
  })

export const hookLate = (message: Message, timeout: number): AfpTimeoutError =>
  new AfpTimeoutError(`beforeSend was not done within ${timeout / 1000} s: the message has not left`, {
    messageId: message.id,
    timeoutSeconds: timeout / 1000,
  })

export const expired = (message: Message): AfpError =>
  new AfpRoutingError('MESSAGE_EXPIRED', 'the time to live is over', {
    messageId: message.id,
    recipients: message.recipients,
  })

/** What the other side said went wrong, as an error of this side. */
export function failureOf(answer: Message, request: Message): AfpError {
  const { code, message } = readFailure(answer.content)
  const details = { code, by: answer.sender }
  if (code === 'NO_HANDLER') {
    return new AfpRoutingError(code, `${answer.sender}: ${message}`, {
      sender: request.sender,
      recipients: request.recipients,
      messageId: request.id,
      details,
    })
  }
  return new AfpDeliveryError('HANDLER_FAILED', `the handler at ${answer.sender} failed: ${message}`, {
    messageId: request.id,
    guarantee: request.guarantee,
    details,
  })
}
