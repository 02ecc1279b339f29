namespace CutoffLen.Files;

/// <summary>
/// A lock between processes: a file that one of them holds open alone (flock, as Python's filelock takes it). The system
/// releases it however the process ends. The file stays, because after removing it a third process could lock a new one
/// while the second still waits for the old.
/// </summary>
internal static class LockFile
{
    private const int WouldBlock = 11; // EAGAIN: another process holds it

    /// <summary>Waits for the lock; disposing the stream releases it.</summary>
    /// <param name="path">The file, made when needed.</param>
    /// <param name="onWait">Called once when another process holds it.</param>
    /// <param name="stop">Ends the waiting.</param>
    public static FileStream Hold(string path, Action? onWait, CancellationToken stop)
    {
        for (var waited = false; ; waited = true)
        {
            stop.ThrowIfCancellationRequested();
            try
            {
                return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1);
            }
            catch (IOException fault) when ((fault.HResult & 0xFFFF) == WouldBlock)
            {
                if (!waited)
                {
                    onWait?.Invoke();
                }

                stop.WaitHandle.WaitOne(TimeSpan.FromMilliseconds(100));
            }
        }
    }
}
