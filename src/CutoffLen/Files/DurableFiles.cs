using System.Runtime.InteropServices;

namespace CutoffLen.Files;

/// <summary>What .NET's file API lacks for saving safely: flushing a folder to disk and exchanging two folders.</summary>
internal static partial class DurableFiles
{
    private const int CurrentFolder = -100; // AT_FDCWD
    private const uint Exchange = 2; // RENAME_EXCHANGE

    /// <summary>Flushes a written file to the disk.</summary>
    public static void Flush(string path)
    {
        using var file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite);
        RandomAccess.FlushToDisk(file);
    }

    /// <summary>Flushes a folder's entries (new names, renames) to the disk.</summary>
    public static void FlushFolder(string folder)
    {
        var descriptor = OpenFile(folder, 0);
        if (descriptor < 0)
        {
            throw new IOException($"cannot open the folder {folder} to flush it: error {Marshal.GetLastPInvokeError()}");
        }

        // Some network file systems refuse to flush a folder; its entries are then as safe as they can be made.
        _ = FlushDescriptor(descriptor);
        _ = CloseFile(descriptor);
    }

    /// <summary>Exchanges two folders in one step.</summary>
    /// <returns>False where the file system can't.</returns>
    public static bool TryExchange(string one, string other)
    {
        try
        {
            return RenameAt(CurrentFolder, one, CurrentFolder, other, Exchange) == 0;
        }
        catch (EntryPointNotFoundException)
        {
            return false; // a C library without renameat2
        }
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int OpenFile(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync")]
    private static partial int FlushDescriptor(int descriptor);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int CloseFile(int descriptor);

    [LibraryImport("libc", EntryPoint = "renameat2", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int RenameAt(int oldFolder, string oldPath, int newFolder, string newPath, uint flags);
}
