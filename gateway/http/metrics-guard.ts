/** The figures as a request sees them: what goes wrong there is what the client is told. */
import { invalidParameter, unavailable } from './problem.ts'

/** The metrics may be away (503), and a sum may be too large to be exact (400). */
export async function askFigures<Answer>(figures: () => Promise<Answer>): Promise<Answer> {
  try {
    return await figures()
  } catch (cause) {
    if (cause instanceof RangeError)
      throw invalidParameter('from', 'a period whose sums are exact', cause.message)
    throw unavailable('The metrics are away; try again. Nothing that is to be counted is lost', cause)
  }
}
