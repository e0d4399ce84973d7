/** What the screening wants to know of a customer. */
import type { Area } from './gazetteer.ts'

export type Language = 'id' | 'en'

export const INTENTS = ['buy', 'test_ride', 'price', 'credit'] as const
export type Intent = (typeof INTENTS)[number]

export const TIMES = ['today', 'this_week', 'this_month', 'next_month', 'later'] as const
export type When = (typeof TIMES)[number]

export interface Answers {
  readonly consent?: boolean
  readonly area?: Area
  /** As on sale; null: does not know yet. */
  readonly model?: string | null
  readonly intent?: Intent
  readonly when?: When
  /** What the customer wrote first, at most 500 characters: for the rep who takes over. */
  readonly message?: string
}

export type ScreenedAnswers = Required<Omit<Answers, 'message' | 'consent'>> & {
  readonly consent: true
  readonly message: string | null
}

/** The questions, in the order they are asked. */
export const QUESTIONS = ['consent', 'location', 'model', 'intent', 'when'] as const
export type Question = (typeof QUESTIONS)[number]
