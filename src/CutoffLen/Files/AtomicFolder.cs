using CutoffLen.Common;

namespace CutoffLen.Files;

/// <summary>
/// Writes a folder whole or not at all: at every moment the path holds the old folder or the new one. Files go to a
/// hidden sibling, are flushed to disk, and take the path in one exchange, or in two renames where the file system has
/// no exchange. The next write to the path removes what a killed process left.
/// </summary>
public static class AtomicFolder
{
    /// <summary>Replaces <paramref name="folder"/>, or creates it.</summary>
    /// <param name="folder">The path to write.</param>
    /// <param name="mayReplace">
    /// Whether a file of this name may be deleted with the folder that is being replaced; a folder that holds any
    /// other file, or a folder, is not touched.
    /// </param>
    /// <param name="write">Writes all files into the folder it is given; the old folder is still readable then.</param>
    /// <exception cref="UserException">
    /// The path holds other files, another process is writing it, or the file system refuses (full, read-only).
    /// </exception>
    public static void Write(string folder, Func<string, bool> mayReplace, Action<string> write)
    {
        try
        {
            var target = Resolve(folder);
            var parent = Path.GetDirectoryName(target)
                ?? throw new UserException($"{folder}: the root of a file system can't be replaced by a checkpoint");
            CheckReplaceable(target, mayReplace);
            Directory.CreateDirectory(parent);
            using var held = Lock(target);
            RemoveLeftovers(target);
            Stage(target, write);
            DurableFiles.FlushFolder(parent);
            RemoveLeftovers(target);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException || IsTooLarge(fault))
        {
            throw new UserException($"{folder}: cannot be written: {fault.Message.Split('\n')[0]}", fault);
        }
    }

    /// <summary>EFBIG, as .NET reports it: a file larger than the file system (FAT32: 4 GiB) or the user's limit allows.</summary>
    private static bool IsTooLarge(Exception fault) => fault is ArgumentOutOfRangeException { ParamName: "value" };

    /// <summary>The full path, links followed: a link to a folder stays one, and what it points to is replaced.</summary>
    private static string Resolve(string folder)
    {
        var full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder));
        return new DirectoryInfo(full) is { LinkTarget: not null } link
            ? Path.TrimEndingDirectorySeparator(link.ResolveLinkTarget(returnFinalTarget: true)!.FullName)
            : full;
    }

    private static void CheckReplaceable(string target, Func<string, bool> mayReplace)
    {
        if (File.Exists(target))
        {
            throw new UserException($"{target}: is a file; give a folder");
        }

        if (!Directory.Exists(target))
        {
            return;
        }

        var foreign = Directory.EnumerateDirectories(target).Concat(
            Directory.EnumerateFiles(target).Where(file => !mayReplace(Path.GetFileName(file)))).Take(4).ToList();
        if (foreign.Count > 0)
        {
            throw new UserException(
                $"{target}: not replaced, as it holds what a checkpoint does not: "
                + $"{string.Join(", ", foreign.Select(Path.GetFileName))}; choose another folder");
        }
    }

    /// <summary>A lock on the path, which the system releases however the process ends.</summary>
    private static FileStream Lock(string target)
    {
        try
        {
            return new FileStream(
                Sibling(target, "lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose);
        }
        catch (IOException) when (File.Exists(Sibling(target, "lock")))
        {
            throw new UserException($"{target}: another process is saving to this folder");
        }
    }

    private static void Stage(string target, Action<string> write)
    {
        var staged = Sibling(target, $"saving-{Environment.ProcessId}");
        try
        {
            Directory.CreateDirectory(staged);
            write(staged);
            Flush(staged);
            Replace(target, staged);
        }
        catch
        {
            if (Directory.Exists(staged))
            {
                Directory.Delete(staged, recursive: true);
            }

            throw;
        }
    }

    private static void Flush(string staged)
    {
        foreach (var file in Directory.EnumerateFiles(staged))
        {
            DurableFiles.Flush(file);
        }

        DurableFiles.FlushFolder(staged);
    }

    private static void Replace(string target, string staged)
    {
        if (!Directory.Exists(target))
        {
            Directory.Move(staged, target);
        }
        else if (!DurableFiles.TryExchange(staged, target))
        {
            var previous = Sibling(target, "previous");
            Directory.Move(target, previous);
            Directory.Move(staged, target);
            Directory.Delete(previous, recursive: true);
        }
    }

    /// <summary>The previous folder, where a kill came between the two renames.</summary>
    public static string? InterruptedPrevious(string folder)
    {
        var previous = Sibling(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)), "previous");
        return !Path.Exists(folder) && Directory.Exists(previous) ? previous : null;
    }

    private static void RemoveLeftovers(string target)
    {
        var prefix = Sibling(target, "saving-");
        foreach (var left in Directory.EnumerateDirectories(Path.GetDirectoryName(target)!))
        {
            if (left.StartsWith(prefix, StringComparison.Ordinal))
            {
                Directory.Delete(left, recursive: true);
            }
        }

        // Until the new folder has the path, the previous one is the only good one.
        if (Directory.Exists(target) && Sibling(target, "previous") is var previous && Directory.Exists(previous))
        {
            Directory.Delete(previous, recursive: true);
        }
    }

    private static string Sibling(string target, string purpose) =>
        Path.Combine(Path.GetDirectoryName(target)!, $".{Path.GetFileName(target)}.{purpose}");
}
