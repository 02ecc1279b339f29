using System.Text;

namespace CutoffLen.Files;

/// <summary>
/// A file that appears whole or not at all. It is written beside its path under a temporary name, flushed to disk and
/// renamed; then the folder is flushed. Disposing without <see cref="Commit"/> removes it.
/// </summary>
public sealed class AtomicFile : IDisposable
{
    private readonly string path;
    private bool committed;

    /// <summary>Begins the file; a leftover of a killed process is overwritten.</summary>
    /// <param name="path">The path to create or replace.</param>
    /// <param name="bufferBytes">Size of the stream's buffer; 0 for none.</param>
    public AtomicFile(string path, int bufferBytes = 1 << 16)
    {
        this.path = Path.GetFullPath(path);
        Stream = new FileStream(TemporaryName(this.path), FileMode.Create, FileAccess.Write, FileShare.None, bufferBytes);
    }

    /// <summary>Takes the content.</summary>
    public FileStream Stream { get; }

    /// <summary>The name under which a file is written: beside it, hidden.</summary>
    public static string TemporaryName(string path) =>
        Path.Combine(Path.GetDirectoryName(path) ?? "", $".{Path.GetFileName(path)}.saving");

    /// <summary>Writes a text as UTF-8.</summary>
    public static void WriteText(string path, string text)
    {
        using var file = new AtomicFile(path);
        file.Stream.Write(Encoding.UTF8.GetBytes(text));
        file.Commit();
    }

    /// <summary>Brings the file to the disk and gives it its name.</summary>
    public void Commit()
    {
        Stream.Flush(flushToDisk: true);
        Stream.Dispose();
        File.Move(Stream.Name, path, overwrite: true);
        committed = true;
        DurableFiles.FlushFolder(Path.GetDirectoryName(path)!);
    }

    /// <summary>Removes the file unless it was committed.</summary>
    public void Dispose()
    {
        Close(Stream);
        if (!committed)
        {
            File.Delete(Stream.Name);
        }
    }

    /// <summary>Closes the stream of a file that goes anyway, also where a full disk has no room for its buffer.</summary>
    internal static void Close(FileStream stream)
    {
        try
        {
            stream.Dispose();
        }
        catch (IOException)
        {
            stream.SafeFileHandle.Dispose();
        }
    }
}
