using CutoffLen.Common;
using CutoffLen.Data;

namespace CutoffLen.Tests.Data;

public sealed class DataFilesTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public DataFilesTests()
    {
        foreach (var name in new[]
        {
            "b.txt", "a.jsonl", "B.TXT", "notes.md", "deep/c.txt", "deep/er/d.jsonl", "deep-er/e.txt", ".hidden.txt", ".git/f.txt", "sub*star/g.txt",
        })
        {
            folder.Write(name, "x");
        }
    }

    public void Dispose() => folder.Dispose();

    [Fact]
    public void A_folder_means_all_its_data_files_in_ordinal_order() => Assert.Equal(
        ["B.TXT", "a.jsonl", "b.txt", "deep-er/e.txt", "deep/c.txt", "deep/er/d.jsonl", "sub*star/g.txt"], Find(""));

    [Theory]
    [InlineData("*.txt", "b.txt")]
    [InlineData("**/*.txt", "b.txt deep-er/e.txt deep/c.txt sub*star/g.txt")]
    [InlineData("deep/**/*", "deep/c.txt deep/er/d.jsonl")]
    [InlineData("*/*.jsonl", null)]
    [InlineData("deep*/*", "deep-er/e.txt deep/c.txt")]
    public void A_glob_means_the_files_it_matches(string glob, string? expected)
    {
        if (expected is null)
        {
            Assert.Contains("matches no file", Assert.Throws<UserException>(() => Find(glob)).Message);
        }
        else
        {
            Assert.Equal(expected.Split(' '), Find(glob));
        }
    }

    [Fact]
    public void A_path_that_exists_is_never_a_glob() => Assert.Equal(["sub*star/g.txt"], Find("sub*star"));

    [Fact]
    public void Paths_keep_their_order_and_a_file_is_taken_once() => Assert.Equal(
        ["deep/c.txt", "b.txt", "deep/er/d.jsonl"], Find("deep/c.txt", "b.txt", "deep", "deep/../b.txt"));

    [Fact]
    public void Formats_follow_the_extension() => Assert.Equal(
        [DataFormat.Text, DataFormat.JsonLines, DataFormat.Parquet],
        DataFiles.Find([folder["b.txt"], folder["a.jsonl"], folder.Write("more/p.PARQUET", "x")]).Select(file => file.Format));

    [Fact]
    public void Links_to_files_are_read_and_loops_of_folders_are_not_walked()
    {
        File.CreateSymbolicLink(folder["deep/linked.txt"], folder["b.txt"]);
        Directory.CreateSymbolicLink(folder["deep/loop"], folder["deep"]);
        Assert.Equal(["deep/c.txt", "deep/er/d.jsonl", "deep/linked.txt"], Find("deep"));
    }

    [Theory]
    [InlineData("missing.txt", "no such file or folder")]
    [InlineData("missing/*.txt", "no folder")]
    [InlineData("notes.md", ".jsonl")]
    [InlineData(".git", null)]
    public void A_path_that_means_nothing_is_answered_with_what_is_allowed(string path, string? expected)
    {
        if (expected is null)
        {
            Assert.Equal([".git/f.txt"], Find(path)); // asked for by name, a hidden folder is read
            return;
        }

        var message = Assert.Throws<UserException>(() => Find(path)).Message;
        Assert.Contains(path, message);
        Assert.Contains(expected, message);
    }

    [Fact]
    public void A_folder_without_data_is_an_error()
    {
        Directory.CreateDirectory(folder["empty"]);
        Assert.Contains("holds no file", Assert.Throws<UserException>(() => Find("empty")).Message);
        Assert.Contains("no data given", Assert.Throws<UserException>(() => DataFiles.Find([])).Message);
    }

    [Fact]
    public void Relative_paths_stay_relative()
    {
        var here = Directory.GetCurrentDirectory();
        var name = $"cutoff-{Guid.NewGuid():N}";
        Directory.CreateDirectory(Path.Combine(here, name));
        try
        {
            File.WriteAllText(Path.Combine(here, name, "a.txt"), "x");
            Assert.Equal([Path.Join(name, "a.txt")], DataFiles.Find([name]).Select(file => file.Path));
            Assert.Equal([Path.Join(name, "a.txt")], DataFiles.Find([$"{name}/*.txt"]).Select(file => file.Path));
            Assert.Equal([Path.Join(name, "a.txt")], DataFiles.Find([$"*{name[1..]}/*.txt"]).Select(file => file.Path));
        }
        finally
        {
            Directory.Delete(Path.Combine(here, name), recursive: true);
        }
    }

    private IEnumerable<string> Find(params string[] names) =>
        DataFiles.Find(names.Select(name => Path.Join(folder.Root, name))).Select(file => Path.GetRelativePath(folder.Root, file.Path));
}
