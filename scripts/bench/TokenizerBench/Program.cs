using System.Diagnostics;
using System.Text;
using System.Text.Json;
using CutoffLen.Tokenization;

const int Rounds = 5;

var text = File.ReadAllText(args[0]);
var lines = text.Split('\n').Where(line => line.Length > 0).ToArray();
var megabytes = Encoding.UTF8.GetByteCount(text) / 1e6;
var random = new Random(1);
var longWord = string.Concat(Enumerable.Range(0, 1_000_000).Select(_ => (char)('a' + random.Next(26))));

Console.WriteLine($"{Path.GetFileName(args[0])}, {megabytes:F1} MB, best of {Rounds} rounds; CPU: MB per second of processor time");
Console.WriteLine($"{"tokenizer",-20} {"load",8} {"whole",11} {"CPU",11} {"by line",11} {"CPU",11} {"decode",11} {"1 MB word",10}  reference");
var reference = args[1..].Select(argument => Path.Combine(FolderOf(argument), "reference.jsonl")).FirstOrDefault(File.Exists);
foreach (var (name, folder) in args[1..].SelectMany(Tokenizers))
    Measure(name, folder);

void Measure(string name, string folder)
{
    var loading = Stopwatch.StartNew();
    var tokenizer = CheckpointTokenizer.Open(folder);
    var loadTime = loading.Elapsed;
    var ids = Encode(text);
    var whole = Best(() => Encode(text));
    var byLine = Best(() =>
    {
        foreach (var line in lines)
            Encode(line);
    });
    var decode = Best(() => tokenizer.Decode(ids));
    var word = Stopwatch.StartNew();
    Encode(longWord);
    Console.WriteLine(
        $"{name,-20} {loadTime.TotalMilliseconds,5:F0} ms {Rate(whole.Wall)} {Rate(whole.Processor)} {Rate(byLine.Wall)} {Rate(byLine.Processor)} {Rate(decode.Wall)} {word.Elapsed.TotalSeconds,8:F2} s  {Agreement(name, tokenizer)}");

    int[] Encode(string part) => tokenizer.Encode(part, addSpecial: false);
}

string Rate(TimeSpan time) => $"{megabytes / time.TotalSeconds,6:F1} MB/s";

static (TimeSpan Wall, TimeSpan Processor) Best(Action action)
{
    var rounds = Enumerable.Range(0, Rounds).Select(_ =>
    {
        var (wall, processor) = (Stopwatch.StartNew(), Environment.CpuUsage.TotalTime);
        action();
        return (Wall: wall.Elapsed, Processor: Environment.CpuUsage.TotalTime - processor);
    }).ToList();
    return (rounds.Min(round => round.Wall), rounds.Min(round => round.Processor));
}

string Agreement(string name, CheckpointTokenizer tokenizer)
{
    if (reference is null)
        return "none";
    var (texts, ids, decoded) = (0, 0, 0);
    foreach (var line in File.ReadLines(reference))
    {
        using var row = JsonDocument.Parse(line);
        if (!row.RootElement.TryGetProperty(name, out var expected))
            continue;
        int[] expectedIds = [.. expected.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32())];
        texts++;
        ids += tokenizer.Encode(row.RootElement.GetProperty("text").GetString()!, addSpecial: false).SequenceEqual(expectedIds) ? 1 : 0;
        decoded += tokenizer.Decode(expectedIds) == expected.GetProperty("decoded").GetString() ? 1 : 0;
    }
    return texts == 0 ? "none" : $"{ids} of {texts} ids, {decoded} of {texts} texts";
}

static string FolderOf(string argument) => argument[(argument.IndexOf('=') + 1)..];

static IEnumerable<(string Name, string Folder)> Tokenizers(string argument)
{
    var folder = FolderOf(argument);
    var name = folder == argument ? Path.GetFileName(Path.TrimEndingDirectorySeparator(folder)) : argument[..argument.IndexOf('=')];
    IEnumerable<(string, string)> own = CheckpointTokenizer.ExistsIn(folder) ? [(name, folder)] : [];
    return own.Concat(Directory.EnumerateDirectories(folder).Order().SelectMany(Tokenizers));
}
