using CutoffLen.Checkpoints.Gguf;
using CutoffLen.Common;
using CutoffLen.Positions.Methods;

namespace CutoffLen.Checkpoints;

/// <summary>
/// A GGUF file as a checkpoint folder in the user's cache (<see cref="GgufCache"/>): config.json, tokenizer, and a link to the file, from which weights are
/// read as from safetensors.
/// </summary>
public static class GgufImport
{
    /// <summary>Whether a path is a file whose name ends in .gguf.</summary>
    public static bool IsOne(string path) => GgufFile.IsOne(path);

    /// <summary>The folder of a file, made where the cache does not have it. Several processes may do so at once.</summary>
    /// <exception cref="UserException">There is no such file, it is damaged, or has something that is not read; or the cache cannot be written.</exception>
    public static string Folder(string path)
    {
        var folder = IsOne(path) ? GgufCache.FolderOf(path) : throw new UserException($"{path}: no such {GgufFile.Extension} file");
        if (Directory.Exists(folder))
        {
            return folder;
        }

        var file = GgufFile.Open(path);
        var staged = Path.Combine(GgufCache.Root, Path.GetRandomFileName());
        try
        {
            Directory.CreateDirectory(staged);
            CheckpointWriter.WriteJson(Path.Combine(staged, "config.json"), GgufConfig.Read(file));
            foreach (var (name, content) in GgufVocabulary.Files(file))
            {
                File.WriteAllBytes(Path.Combine(staged, name), content);
            }

            File.CreateSymbolicLink(Path.Combine(staged, GgufCache.WeightsFile), Path.GetFullPath(path));
            Check(staged, path);
            Directory.CreateDirectory(Path.GetDirectoryName(folder)!);
            Directory.Move(staged, folder);
        }
        catch (IOException) when (Directory.Exists(folder))
        {
            // another process was faster
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{path}: its settings cannot be kept in {folder}: {fault.Message}; XDG_CACHE_HOME can name another cache folder", fault);
        }
        finally
        {
            if (Directory.Exists(staged))
            {
                Directory.Delete(staged, recursive: true);
            }
        }

        return folder;
    }

    /// <summary>Opens the folder that is being made. The words of a refusal name the file.</summary>
    private static void Check(string staged, string path)
    {
        try
        {
            using var model = ModelFolder.Open(staged);
            _ = model.HasTokenizer ? model.Tokenizer : null;
            model.Config.SetupFor(PositionMethods.Auto, model.Config.MaxPositionEmbeddings);
        }
        catch (UserException fault)
        {
            var message = fault.Message.Replace(staged, path, StringComparison.Ordinal);
            throw new UserException(message.Contains(path, StringComparison.Ordinal) ? message : $"{path}: {message}", fault);
        }
    }
}
