/** Lines of one log stream that an agent may send before it has been told that some were taken. */
export const LOG_WINDOW_LINES = 4_000
